"""Which part of the scene a grasp takes hold of: what lies between the fingers is `target`, all else `rest`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.arm_model import ClosingVolume

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TARGET_GROWTH_M = 0.010
"""The closing volume is grown by this: the mesh is good to about a voxel (7.5 mm)."""


def target_triangles(corners_m: FloatArray, T_base_tcp: RigidTransform, closing_volume: ClosingVolume) -> BoolArray:
    """Which triangles belong to the target of a grasp.

    Args:
        corners_m: the scene's triangles [T, 3 corners, 3], base frame.
        T_base_tcp: the grasp.
        closing_volume: the hand's, not yet grown.

    Returns:
        [T]; True where the triangle meets the closing volume grown by `TARGET_GROWTH_M`.
    """
    if not len(corners_m):
        return np.zeros(0, dtype=bool)
    in_tcp = T_base_tcp.inv().apply(corners_m.reshape(-1, 3)).reshape(-1, 3, 3)
    grown = closing_volume.grown(TARGET_GROWTH_M)
    return triangles_meet_box(in_tcp, grown.lower_m, grown.upper_m)


def triangles_meet_box(corners_m: FloatArray, lower_m: FloatArray, upper_m: FloatArray) -> BoolArray:
    """Which triangles [T, 3, 3] share a point with an axis-aligned box, by separating axes (3 + 1 + 9)."""
    half = 0.5 * (upper_m - lower_m)
    corners = corners_m - 0.5 * (lower_m + upper_m)
    near = np.all((corners.min(axis=1) <= half) & (corners.max(axis=1) >= -half), axis=1)
    meets = near.copy()
    candidates = corners[near]
    edges = np.roll(candidates, -1, axis=1) - candidates
    normal = np.cross(edges[:, 0], edges[:, 1])
    # Nine axes: each of the box's edges across each of the triangle's.
    across = np.cross(np.eye(3)[None, :, None, :], edges[:, None, :, :]).reshape(len(candidates), 9, 3)
    axes = np.concatenate([normal[:, None, :], across], axis=1)
    projected = np.einsum("tak,tck->tac", axes, candidates)
    reach = np.abs(axes) @ half
    meets[near] = np.all((projected.min(axis=2) <= reach) & (projected.max(axis=2) >= -reach), axis=1)
    return meets
