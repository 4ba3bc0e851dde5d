"""The open Franka Hand as a few boxes in the frame of the TCP, for asking which points it would touch.

z is the approach, y the closing direction. The numbers are those of the hand's collision meshes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from giga_perception.gripper_shape import FINGER_OVERHANG_M, FINGER_ROOT_Z_M

FloatArray = NDArray[np.float32]


class HandBox(NamedTuple):
    """|x| up to `x_m`, |y| from `inner_y_m` to `outer_y_m`, z from `low_z_m` to `high_z_m`."""

    x_m: float
    inner_y_m: float
    outer_y_m: float
    low_z_m: float
    high_z_m: float

    def contains(self, points_m: FloatArray) -> NDArray[np.bool_]:
        """Whether points [..., 3] of the TCP's frame lie in it."""
        x, y, z = np.abs(points_m[..., 0]), np.abs(points_m[..., 1]), points_m[..., 2]
        inside: NDArray[np.bool_] = (
            (x <= self.x_m) & (y >= self.inner_y_m) & (y <= self.outer_y_m) & (z >= self.low_z_m) & (z <= self.high_z_m)
        )
        return inside


OPEN_HALF_WIDTH_M = 0.04
FINGER_BREADTH_HALF_M = 0.0105
PALM_FRONT_Z_M = -0.0374
# A finger is thinner towards its end, from here on.
_FINGER_TIP_Z_M = -0.0255
_FINGER_TIP_OUTER_Y_M = 0.056

# The hand comes straight along z from this far away, so what lies behind its parts is in the way too.
APPROACH_M = 0.05

FINGER_TIPS = HandBox(
    FINGER_BREADTH_HALF_M,
    OPEN_HALF_WIDTH_M,
    _FINGER_TIP_OUTER_Y_M,
    _FINGER_TIP_Z_M,
    FINGER_OVERHANG_M,
)
FINGER_ROOTS = HandBox(FINGER_BREADTH_HALF_M, OPEN_HALF_WIDTH_M, 0.0664, FINGER_ROOT_Z_M - APPROACH_M, _FINGER_TIP_Z_M)
PALM = HandBox(0.0316, 0.0, 0.104, -0.1293 - APPROACH_M, PALM_FRONT_Z_M)
SOLID_PARTS = (FINGER_TIPS, FINGER_ROOTS, PALM)
CLOSING_REGION = HandBox(FINGER_BREADTH_HALF_M, 0.0, OPEN_HALF_WIDTH_M, PALM_FRONT_Z_M, FINGER_OVERHANG_M)

FINGER_ENDS_M: FloatArray = np.array(
    [
        [x, y, FINGER_OVERHANG_M]
        for x in (-FINGER_BREADTH_HALF_M, FINGER_BREADTH_HALF_M)
        for y in (-_FINGER_TIP_OUTER_Y_M, _FINGER_TIP_OUTER_Y_M)
    ],
    dtype=np.float32,
)
"""[4, 3] the outermost points of the fingers' ends."""
PALM_CORNERS_M: FloatArray = np.array(
    [[x, y, PALM_FRONT_Z_M] for x in (-PALM.x_m, PALM.x_m) for y in (-PALM.outer_y_m, PALM.outer_y_m)],
    dtype=np.float32,
)
"""[4, 3] the corners of the palm's front."""
