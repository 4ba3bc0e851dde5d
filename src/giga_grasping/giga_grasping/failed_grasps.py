"""Where grasps have failed, so that the next attempt looks elsewhere first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.pick_outcome import Candidate

# A parallel gripper is symmetric: a grasp and the same turned by 180 degrees about its approach are one grasp.
HALF_TURN = Rotation.from_euler("z", np.pi)


def turn_between_rad(a: Rotation, b: Rotation) -> float:
    """The smaller angle between two orientations of a parallel gripper, in radians."""
    between = a.inv() * b
    return float(min(between.magnitude(), (between * HALF_TURN).magnitude()))


class FailedGrasps:
    """Remembers failed grasps of one clear, all in one frame."""

    def __init__(self, distance_m: float, angle_rad: float) -> None:
        self._distance_m = distance_m
        self._angle_rad = angle_rad
        self._failed: list[RigidTransform] = []

    def remember(self, grasps: Iterable[Candidate]) -> None:
        self._failed.extend(grasp.T_frame_tcp for grasp in grasps)

    def is_near(self, grasp: Candidate) -> bool:
        """Whether a grasp has failed within the distance and the turn of this one."""
        pose = grasp.T_frame_tcp
        return any(
            float(np.linalg.norm(pose.translation - failed.translation)) < self._distance_m
            and turn_between_rad(pose.rotation, failed.rotation) < self._angle_rad
            for failed in self._failed
        )

    def order(self, grasps: Sequence[Candidate]) -> list[int]:
        """Indices into `grasps`, best first, those near a failure put last."""
        near = [self.is_near(grasp) for grasp in grasps]
        return sorted(range(len(grasps)), key=lambda index: near[index])
