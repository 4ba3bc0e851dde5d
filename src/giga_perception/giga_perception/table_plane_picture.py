"""A picture of a table plane in its depth image: which readings lie on it, and how far off the others are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from giga_perception.camera import DepthView
from giga_perception.table_plane import TablePlane, offset_in_words

# Heights are coloured up to here, above and below.
_COLOURED_M = 0.03
_ON_PLANE_M = 0.003
_TINT = np.array([0.20, 0.62, 0.38])


def draw_table_plane(plane: TablePlane, view: DepthView, path: Path, title: str) -> None:
    """Write the picture as PNG: the depth image with the plane's readings tinted, and each reading's height above it.

    Raises OSError when the file cannot be written.
    """
    from matplotlib.figure import Figure

    height_m = plane.height_above_m(view.depth_m, view.camera)
    has_reading = np.isfinite(height_m)
    near_m, far_m = np.percentile(view.depth_m[has_reading], [1, 99])
    grey = 1.0 - 0.8 * np.clip((view.depth_m - near_m) / max(far_m - near_m, 1e-6), 0.0, 1.0)
    image = np.repeat(np.where(has_reading, grey, 0.0)[..., None], 3, axis=2)
    on_plane = np.abs(height_m) <= max(_ON_PLANE_M, 3.0 * plane.residual_m)
    image[on_plane] = 0.45 * image[on_plane] + 0.55 * _TINT

    figure = Figure(figsize=(14.0, 5.6), dpi=100, layout="constrained")
    depth_axes, height_axes = figure.subplots(1, 2)
    depth_axes.imshow(image, interpolation="nearest")
    depth_axes.set_title(f"green: on the plane ({100.0 * plane.image_share:.0f} % of the readings)", loc="left")
    shown = height_axes.imshow(
        1000.0 * height_m,
        cmap="RdBu_r",
        vmin=-1000.0 * _COLOURED_M,
        vmax=1000.0 * _COLOURED_M,
        interpolation="nearest",
    )
    height_axes.set_facecolor("black")
    height_axes.set_title("height above the plane (mm); black: no reading", loc="left")
    figure.colorbar(shown, ax=height_axes, shrink=0.85, extend="both")
    for axes in (depth_axes, height_axes):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(
        f"{title}: the table {offset_in_words(plane)} the configured one, tilted by {plane.tilt_deg:.2f} degrees; "
        f"readings spread by {1000.0 * plane.residual_m:.1f} mm"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
