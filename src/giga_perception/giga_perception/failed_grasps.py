"""Not to repeat what just failed: a memory of the grasps that failed since the last success, and what it rules out.

    failed = FailedGrasps()
    to_try = not_failed(detection.grasps, failed)
    failed = failed.with_failure(to_try[0])     # or FailedGrasps() after a success: the scene is another one

A grasp that failed would most often fail again: the network sees the same scene and errs in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from giga_perception.grasp import Grasp

# About a finger pad's breadth, and a little less than lies between two yaws of a label (36 degrees).
SAME_WITHIN_M = 0.02
SAME_WITHIN_RAD = float(np.deg2rad(30.0))

_HALF_TURN = Rotation.from_rotvec([0.0, 0.0, np.pi])


@dataclass(frozen=True)
class FailedGrasps:
    """The grasps that failed since the last success, and how near another must be to count as one of them.

    grasps: TCP poses in the workspace frame. within_m: distance of the TCPs. within_rad: angle between the
        orientations, a hand turned by half a turn about its approach being the same hand.
    Raises ValueError for a negative distance or angle.
    """

    grasps: tuple[Grasp, ...] = ()
    within_m: float = SAME_WITHIN_M
    within_rad: float = SAME_WITHIN_RAD

    def __post_init__(self) -> None:
        if not (self.within_m >= 0.0 and self.within_rad >= 0.0):
            raise ValueError(
                f"a distance of {self.within_m} m and an angle of {self.within_rad} rad tell no grasps apart: "
                "neither may be negative"
            )

    def with_failure(self, grasp: Grasp) -> FailedGrasps:
        """The memory after this grasp failed, too."""
        return replace(self, grasps=(*self.grasps, grasp))

    def emptied(self) -> FailedGrasps:
        """The memory after a success."""
        return replace(self, grasps=())


def not_failed(grasps: Sequence[Grasp], failed: FailedGrasps) -> tuple[Grasp, ...]:
    """The grasps, in their order, that lie near none of the failed ones."""
    return tuple(grasp for grasp in grasps if not any(_same(grasp, other, failed) for other in failed.grasps))


def angle_between_rad(one: Rotation, other: Rotation) -> float:
    """The smaller of the angles (0 to pi) that turn one hand into the other, or into the other's half turn.

    A parallel hand turned by pi about its approach (z) closes on the same two places.
    """
    turned: NDArray[np.float64] = (one.inv() * Rotation.concatenate([other, other * _HALF_TURN])).magnitude()
    return float(turned.min())


def _same(grasp: Grasp, other: Grasp, failed: FailedGrasps) -> bool:
    one, two = grasp.T_workspace_tcp, other.T_workspace_tcp
    if np.linalg.norm(one.translation - two.translation) > failed.within_m:
        return False
    return angle_between_rad(one.rotation, two.rotation) <= failed.within_rad
