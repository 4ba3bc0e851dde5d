"""The points at which every scene of every data set states its occupancy, and what a data set says of them.

A scene stores one bit a point. What makes the points again, and their checksum, stand in the header of a data set, so
that bits never meet other points than those they were made for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giga_perception.workspace import WORKSPACE_SIZE_M

OCCUPANCY_POINT_COUNT = 100_000
HEADER_KEY = "occupancy_points"
# Powers of 1/g, with g the real root of g^4 = g + 1. Written out: the roots of a mathematics library may differ in the
# last bit, but products, sums and remainders of doubles are the same on every machine.
_STEPS = (0.8191725133961644, 0.671043606703789, 0.5497004779019701)
_START = 0.5


@functools.cache
def occupancy_points_m() -> NDArray[np.float32]:
    """The points [100000, 3], metres in ``workspace``, filling the cube. The array is shared and read-only.

    The additive recurrence of Roberts (2018) in three dimensions. Any contiguous run of it is spread evenly too.
    """
    indices = np.arange(1, OCCUPANCY_POINT_COUNT + 1, dtype=np.float64)[:, None]
    points = (((_START + indices * np.array(_STEPS)) % 1.0) * WORKSPACE_SIZE_M).astype(np.float32)
    points.setflags(write=False)
    return points


@functools.cache
def _description() -> dict[str, Any]:
    points = np.ascontiguousarray(occupancy_points_m(), dtype="<f4")
    return {
        "rule": "point i = ((start + i * steps) mod 1) * size_m, i from 1 to count, in doubles, then as float32",
        "count": OCCUPANCY_POINT_COUNT,
        "start": _START,
        "steps": list(_STEPS),
        "size_m": WORKSPACE_SIZE_M,
        "sha256": hashlib.sha256(points.tobytes()).hexdigest(),
    }


def occupancy_points_header() -> dict[str, Any]:
    """What a header says of the points, under HEADER_KEY: the rule that makes them, and the checksum of their bytes."""
    return {HEADER_KEY: dict(_description())}


def has_these_points(header: Mapping[str, Any]) -> bool:
    """Whether a header speaks of these points. Data sets older than the checksum say nothing, and have these too."""
    told = header.get(HEADER_KEY)
    return told is None or (isinstance(told, dict) and told.get("sha256") == _description()["sha256"])
