"""The one colour scale for grasp quality: in RViz, in pictures, everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUALITY_COLOURS = np.array(
    [
        [0.23, 0.13, 0.52],
        [0.52, 0.13, 0.60],
        [0.80, 0.23, 0.45],
        [0.95, 0.47, 0.22],
        [0.99, 0.84, 0.16],
    ]
)
"""Red, green, blue (0 to 1) at qualities 0, 0.25, 0.5, 0.75 and 1: indigo for poor, yellow for good."""


def quality_colour(quality: ArrayLike) -> NDArray[np.float64]:
    """Colours [..., 3] of qualities [...] (0 to 1, clipped), linear between the anchors."""
    values = np.asarray(quality, dtype=np.float64)
    anchors = np.linspace(0.0, 1.0, len(QUALITY_COLOURS))
    return np.stack([np.interp(values, anchors, QUALITY_COLOURS[:, channel]) for channel in range(3)], axis=-1)
