"""Several orientations for one grasp centre: those that the network has for the points around it.

The rotation head gives one orientation a point, and beside an edge or between two objects it jumps from one way to
grasp to another. What it says a voxel further is then an alternative at this centre too, and a judge can choose.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.grasp import T_workspace_grasp_origin_from_tcp, T_workspace_tcp_from_grasp_origin
from giga_perception.scene_query import FloatArray
from giga_perception.workspace import WORKSPACE_SIZE_M

# How far from the centre the neighbours lie: a voxel at 40^3.
NEIGHBOUR_DISTANCE_M = 0.0075
_NEIGHBOURS_M = NEIGHBOUR_DISTANCE_M * np.vstack([np.eye(3), -np.eye(3)])


@runtime_checkable
class RotationQuery(Protocol):
    """An encoded scene that has an orientation for any point."""

    def rotation_at(self, points: FloatArray) -> FloatArray:
        """[N, 4] unit quaternions x, y, z, w at cube coordinates [N, 3], -0.5 to 0.5."""


def neighbours_rotations(scene: object, T_workspace_tcp: RigidTransform) -> list[RigidTransform]:
    """For each of N grasps seven, itself first: the same centre with the orientations of the six points around it.

    A centre is the grasp origin, what the network was asked about; so the TCP moves as the hand turns.
    scene: the `SceneQuery` they came from. Raises ValueError when it answers on its grid only.
    """
    if not isinstance(scene, RotationQuery):
        raise ValueError("several rotations need a network that answers at any point, as every GIGA does")
    T_workspace_grasp = T_workspace_grasp_origin_from_tcp(T_workspace_tcp)
    centres_m = T_workspace_grasp.translation
    around_m = (centres_m[:, None] + _NEIGHBOURS_M).reshape(-1, 3)
    answers = scene.rotation_at((around_m / WORKSPACE_SIZE_M - 0.5).astype(np.float32)).astype(np.float64)
    own = T_workspace_grasp.rotation.as_quat()
    quaternions = np.concatenate([own[:, None], answers.reshape(-1, len(_NEIGHBOURS_M), 4)], axis=1)
    return [
        T_workspace_tcp_from_grasp_origin(RigidTransform.from_components(centre_m, Rotation.from_quat(several)))
        for centre_m, several in zip(centres_m, quaternions, strict=True)
    ]
