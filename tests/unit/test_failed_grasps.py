"""The memory of failed grasps: what counts as the same grasp, and when it is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.failed_grasps import FailedGrasps, angle_between_rad, not_failed
from giga_perception.grasp import Grasp

DOWN = Rotation.from_euler("x", 180.0, degrees=True)


def grasp(x_m: float = 0.1, *, yaw_deg: float = 0.0, tilt_deg: float = 0.0) -> Grasp:
    """A grasp from above, turned about its own approach and tilted about its closing direction."""
    rotation = DOWN * Rotation.from_euler("ZY", [yaw_deg, tilt_deg], degrees=True)
    return Grasp(RigidTransform.from_components([x_m, 0.15, 0.1], rotation), 0.04, 0.9)


FAILED = FailedGrasps(within_m=0.02, within_rad=float(np.deg2rad(30.0))).with_failure(grasp())


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (grasp(), True),
        (grasp(0.119), True),
        (grasp(0.121), False),
        (grasp(yaw_deg=29.0), True),
        (grasp(yaw_deg=31.0), False),
        (grasp(yaw_deg=180.0), True),
        (grasp(yaw_deg=-151.0), True),
        (grasp(yaw_deg=90.0), False),
        (grasp(tilt_deg=29.0), True),
        (grasp(tilt_deg=31.0), False),
        # Half a turn about the closing direction would come from below: another grasp altogether.
        (grasp(tilt_deg=180.0), False),
    ],
)
def test_near_in_place_and_orientation_up_to_half_a_turn_of_the_hand_is_the_same(other: Grasp, is_same: bool) -> None:
    assert (not_failed([other], FAILED) == ()) is is_same


def test_the_others_stay_in_their_order_and_an_empty_memory_forbids_nothing() -> None:
    grasps = [grasp(0.2), grasp(0.1), grasp(0.15), grasp(0.11)]
    assert not_failed(grasps, FAILED) == (grasps[0], grasps[2])
    assert not_failed(grasps, FAILED.emptied()) == tuple(grasps)
    assert not_failed((), FAILED) == ()


def test_every_failure_since_the_last_success_counts_and_limits_outlive_a_success() -> None:
    grasps = [grasp(0.1), grasp(0.2)]
    both = FAILED.with_failure(grasps[1])
    assert not_failed(grasps, both) == ()
    assert len(FAILED.grasps) == 1, "a memory never changes in place"
    assert (both.emptied().within_m, both.emptied().grasps) == (FAILED.within_m, ())


def test_the_angle_between_hands_is_the_same_both_ways() -> None:
    one, other = Rotation.random(2, random_state=3)
    assert angle_between_rad(one, other) == pytest.approx(angle_between_rad(other, one))
    half_turned = other * Rotation.from_euler("z", 180.0, degrees=True)
    assert angle_between_rad(one, other) == pytest.approx(angle_between_rad(one, half_turned))


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="neither may be negative"):
        FailedGrasps(within_m=-0.01)
