"""What is seen around a hand, projected onto the three planes of its frame: the image that the classifier looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.two_stage.observed_cloud import ObservedCloud
from giga_perception.two_stage.open_hand import FINGER_ENDS_M
from giga_perception.workspace import TABLE_HEIGHT_M

FloatArray = NDArray[np.float32]

CELLS = 24
# Occupied; mean place along the projection; mean normal in the hand's frame.
CHANNELS_A_PLANE = 5
# Axes (rows, columns, projected along) of each plane, in the TCP's frame: x across, y closing, z approach.
PLANES = ((2, 1, 0), (2, 0, 1), (0, 1, 2))
GRID_CHANNELS = CHANNELS_A_PLANE * len(PLANES)
FEATURE_COUNT = 3
# What is looked at, in the TCP's frame: the closing region and what stands close around the fingers.
REGION_LOW_M: FloatArray = np.array([-0.03, -0.06, -0.05], dtype=np.float32)
REGION_HIGH_M: FloatArray = np.array([0.03, 0.06, 0.03], dtype=np.float32)
_CHUNK = 64


def local_grids(cloud: ObservedCloud, T_workspace_tcp: RigidTransform) -> FloatArray:
    """[N, GRID_CHANNELS, CELLS, CELLS] for N hands: the CHANNELS_A_PLANE of each of PLANES, 0 where nothing is seen.

    Places along the projection go from -1 to 1 over the region.
    """
    count = len(T_workspace_tcp)
    R = T_workspace_tcp.rotation.as_matrix().astype(np.float32).reshape(-1, 3, 3)
    origin = T_workspace_tcp.translation.astype(np.float32).reshape(-1, 3)
    grids = np.zeros((count, GRID_CHANNELS, CELLS * CELLS), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        hands = slice(start, min(start + _CHUNK, count))
        local = (cloud.points_m - origin[hands, None]) @ R[hands]
        share = (local - REGION_LOW_M) / (REGION_HIGH_M - REGION_LOW_M)
        hand, point = np.nonzero(np.all((share >= 0.0) & (share < 1.0), axis=2))
        share = share[hand, point]
        normals = np.einsum("pc,pcd->pd", cloud.normals[point], R[hands][hand])
        for plane, (row, column, along) in enumerate(PLANES):
            first = plane * CHANNELS_A_PLANE
            cell = (share[:, row] * CELLS).astype(np.int64) * CELLS + (share[:, column] * CELLS).astype(np.int64)
            flat = hand * CELLS * CELLS + cell
            size = (hands.stop - hands.start) * CELLS * CELLS
            number = np.bincount(flat, minlength=size)
            values = (2.0 * share[:, along] - 1.0, *normals.T)
            sums = np.stack([np.bincount(flat, weights=value, minlength=size) for value in values], axis=-1)
            means = (sums / np.maximum(number, 1)[:, None]).reshape(-1, CELLS * CELLS, CHANNELS_A_PLANE - 1)
            grids[hands, first] = (number > 0).reshape(-1, CELLS * CELLS)
            grids[hands, first + 1 : first + CHANNELS_A_PLANE] = means.transpose(0, 2, 1)
    return grids.reshape(count, GRID_CHANNELS, CELLS, CELLS)


def hand_features(T_workspace_tcp: RigidTransform) -> FloatArray:
    """[N, FEATURE_COUNT] of N hands, which no projection shows.

    Height of the lower finger end over the table in decimetres; how far the approach points down; how steep the closing
    direction is, 0 to 1.
    """
    R = T_workspace_tcp.rotation.as_matrix().reshape(-1, 3, 3)
    height_m = T_workspace_tcp.translation.reshape(-1, 3)[:, 2] - TABLE_HEIGHT_M
    lowest = (FINGER_ENDS_M.astype(np.float64) @ R[:, 2, :].T).min(axis=0) + height_m
    return np.stack([10.0 * lowest, -R[:, 2, 2], np.abs(R[:, 2, 1])], axis=1).astype(np.float32)
