"""Candidates between the points of the grid: each centre climbs the network's quality, then is asked again.

The grid knows a grasp's centre to half a voxel (3.75 mm). The network answers at any point, and its quality has a
gradient there: a few bounded steps along it, for all candidates at once, and orientation and width are asked where they
end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.grasp import Grasp, T_workspace_grasp_origin_from_tcp, T_workspace_tcp_from_grasp_origin
from giga_perception.grasp_selection import allowed_box_m, width_is_valid
from giga_perception.scene_query import FloatArray
from giga_perception.workspace import WORKSPACE_SIZE_M

# Centres move no further than this from where the grid had them: one voxel and a half at 40^3.
REACH_M = 0.01125
# The first step; a step that does not climb is taken back and the next one is half as long.
FIRST_STEP_M = 0.003
# A voxel's gaussian neighbourhood, by the six points that give its mean exactly for a cubic (Stroud's U3 3-1).
SPREAD_M = 0.0075
_SPREAD = np.sqrt(3.0) * np.vstack([np.eye(3), -np.eye(3)])


@runtime_checkable
class ContinuousQuery(Protocol):
    """An encoded scene that answers at any point."""

    def quality_and_gradient(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[N] probability that a grasp centred there holds, and [N, 3] its gradient, at cube coordinates [N, 3]."""

    def rotation_and_width(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[N, 4] quaternions x, y, z, w and [N] widths in cubes, at cube coordinates [N, 3]."""


@dataclass(frozen=True)
class CentreAscent:
    """Moves the centres of a detection's candidates.

    steps: how often the network is asked for the gradient. smoothed: climb the mean over a voxel's gaussian
    neighbourhood, as the grid's qualities are smoothed, not the quality at the point itself.
    """

    steps: int = 5
    smoothed: bool = False

    def __call__(self, scene: object, grasps: tuple[Grasp, ...]) -> tuple[Grasp, ...]:
        """The same grasps, moved; qualities and order stay, so that only the place changes.

        scene: the `SceneQuery` they came from. A grasp whose width would not be valid at the new place stays.
        Raises ValueError when the scene answers on its grid only.
        """
        if not isinstance(scene, ContinuousQuery):
            raise ValueError("ascent needs a network that answers at any point: a GIGA, not averaged over images")
        if not grasps:
            return ()
        poses = RigidTransform.concatenate([grasp.T_workspace_tcp for grasp in grasps])
        start_m = T_workspace_grasp_origin_from_tcp(poses).translation
        end_m = self.climbed(scene, start_m)
        rotation, width = scene.rotation_and_width(_cube(end_m))
        T_workspace_grasp = RigidTransform.from_components(end_m, Rotation.from_quat(rotation.astype(np.float64)))
        moved = T_workspace_tcp_from_grasp_origin(T_workspace_grasp)
        valid = width_is_valid(width)
        return tuple(
            replace(grasp, T_workspace_tcp=moved[i], width_m=float(width[i]) * WORKSPACE_SIZE_M) if valid[i] else grasp
            for i, grasp in enumerate(grasps)
        )

    def climbed(self, scene: ContinuousQuery, start_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the centres [N, 3] end, in workspace metres, at most REACH_M from where they began."""
        lower_m, upper_m = allowed_box_m()
        best_m = np.array(start_m, dtype=np.float64)
        best, gradient = self._asked(scene, best_m)
        step_m = np.full(len(best_m), FIRST_STEP_M)
        for _ in range(self.steps):
            direction = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
            away_m = best_m + step_m[:, None] * direction - start_m
            away_m *= np.minimum(1.0, REACH_M / np.maximum(np.linalg.norm(away_m, axis=1, keepdims=True), 1e-9))
            tried_m = np.clip(start_m + away_m, lower_m, upper_m)
            quality, tried_gradient = self._asked(scene, tried_m)
            better = quality > best
            best_m[better], best[better], gradient[better] = tried_m[better], quality[better], tried_gradient[better]
            step_m[~better] /= 2.0
        return best_m

    def _asked(self, scene: ContinuousQuery, points_m: NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
        if not self.smoothed:
            return scene.quality_and_gradient(_cube(points_m))
        around_m = points_m[:, None] + SPREAD_M * _SPREAD
        quality, gradient = scene.quality_and_gradient(_cube(around_m.reshape(-1, 3)))
        return quality.reshape(-1, 6).mean(axis=1), gradient.reshape(-1, 6, 3).mean(axis=1)


def neighbours_rotations(scene: object, T_workspace_tcp: RigidTransform, distance_m: float) -> list[RigidTransform]:
    """For each of N grasps seven, itself first: the same centre with the orientations of the six points around it.

    distance_m: how far from the centre the points lie. Raises ValueError when the scene answers on its grid only.
    """
    if not isinstance(scene, ContinuousQuery):
        raise ValueError("several rotations need a network that answers at any point: a GIGA, not averaged over images")
    T_workspace_grasp = T_workspace_grasp_origin_from_tcp(T_workspace_tcp)
    centre_m = T_workspace_grasp.translation
    around_m = centre_m[:, None] + distance_m / np.sqrt(3.0) * _SPREAD
    rotation = scene.rotation_and_width(_cube(around_m.reshape(-1, 3)))[0].reshape(-1, 6, 4).astype(np.float64)
    return [
        T_workspace_tcp_from_grasp_origin(
            RigidTransform.from_components(
                centre_m[i], Rotation.concatenate([T_workspace_grasp[i].rotation, Rotation.from_quat(rotation[i])])
            )
        )
        for i in range(len(centre_m))
    ]


def _cube(points_m: NDArray[np.float64]) -> FloatArray:
    return (points_m / WORKSPACE_SIZE_M - 0.5).astype(np.float32)
