"""The hand of a grasp as a shape to look at: a line drawing for markers, boxes for rendered pictures.

Everything is built in the frame of the TCP (z along the approach, y along the closing direction, origin between the
pads) and then carried to the workspace. Dimensions are those of the Franka Hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

FINGER_OVERHANG_M = 0.009
"""How far the finger ends reach beyond the TCP along z."""
FINGER_ROOT_Z_M = -0.045
"""Where the fingers leave the hand: its body ends 0.0584 m after its frame, which lies 0.1034 m before the TCP."""
WRIST_Z_M = -0.1034
"""Where the hand is mounted: the origin of the hand's own frame."""

_FINGER_THICKNESS_M = 0.005
_FINGER_BREADTH_M = 0.009
_PALM_HEIGHT_M = 0.006

_BOX_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_BOX_TRIANGLES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ],
    dtype=np.int64,
)


def gripper_lines(T_workspace_tcp: RigidTransform, width_m: float) -> NDArray[np.float64]:
    """Two fingers, palm and stem of a hand opened to ``width_m``: [4, 2, 3] ends of segments, workspace metres."""
    half = 0.5 * width_m
    segments = np.array(
        [
            [[0.0, -half, FINGER_ROOT_Z_M], [0.0, -half, FINGER_OVERHANG_M]],
            [[0.0, half, FINGER_ROOT_Z_M], [0.0, half, FINGER_OVERHANG_M]],
            [[0.0, -half, FINGER_ROOT_Z_M], [0.0, half, FINGER_ROOT_Z_M]],
            [[0.0, 0.0, WRIST_Z_M], [0.0, 0.0, FINGER_ROOT_Z_M]],
        ]
    )
    return np.asarray(T_workspace_tcp.apply(segments.reshape(-1, 3))).reshape(4, 2, 3)


def gripper_solid(
    T_workspace_tcp: RigidTransform, width_m: float, scale: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same hand as four slim boxes: vertices [32, 3] in workspace metres and triangles [48, 3].

    The fingers' inner faces are ``width_m`` apart. ``scale`` thickens every bar about that, to let one hand stand out.
    """
    thickness = _FINGER_THICKNESS_M * scale
    breadth = _FINGER_BREADTH_M * scale
    palm_height = _PALM_HEIGHT_M * scale
    finger_y = 0.5 * (width_m + thickness)
    finger_length = FINGER_OVERHANG_M - FINGER_ROOT_Z_M
    finger_z = 0.5 * (FINGER_OVERHANG_M + FINGER_ROOT_Z_M)
    palm_z = FINGER_ROOT_Z_M - 0.5 * palm_height
    stem_end_z = FINGER_ROOT_Z_M - palm_height
    sizes_and_centres = (
        ((breadth, thickness, finger_length), (0.0, -finger_y, finger_z)),
        ((breadth, thickness, finger_length), (0.0, finger_y, finger_z)),
        ((breadth, width_m + 2.0 * thickness, palm_height), (0.0, 0.0, palm_z)),
        ((breadth, breadth, stem_end_z - WRIST_Z_M), (0.0, 0.0, 0.5 * (stem_end_z + WRIST_Z_M))),
    )
    vertices = np.concatenate([_BOX_CORNERS * size + centre for size, centre in sizes_and_centres])
    triangles = np.concatenate([_BOX_TRIANGLES + len(_BOX_CORNERS) * box for box in range(len(sizes_and_centres))])
    return np.asarray(T_workspace_tcp.apply(vertices)), triangles
