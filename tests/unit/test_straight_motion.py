"""Straight lines of the tool centre point: straight, evenly spaced, continuous in the joints."""

from __future__ import annotations

import numpy as np
import pytest
from planning_cell import arm, home, kinematics, profile, tcp_pose

from giga_grasping.straight_motion import STEP_M, line_steps, straight_line

UP = np.array([0.0, 0.0, 1.0])


def test_the_line_is_straight_keeps_the_orientation_and_is_continuous() -> None:
    goal = tcp_pose([0.15, 0.15, 0.10])
    complete = 0
    for start in kinematics().solve(goal)[::7]:
        line = straight_line(kinematics(), start, goal, UP, 0.10)
        poses = [arm().T_base_tcp(joints) for joints in line]
        along = np.array([pose.translation - goal.translation for pose in poses])
        np.testing.assert_allclose(along[:, :2], 0.0, atol=1e-6)
        np.testing.assert_allclose(along[:, 2], STEP_M * np.arange(len(line)), atol=1e-6)
        assert max((goal.rotation.inv() * pose.rotation).magnitude() for pose in poses) < 1e-6
        assert np.abs(np.diff(line, axis=0)).max(initial=0.0) < 0.12
        assert profile().limits.margin_rad(line).min() >= 0.0
        np.testing.assert_array_equal(line[0], start)
        complete += len(line) == line_steps(0.10) + 1 == 21
    assert complete > 3


@pytest.mark.parametrize("direction", [UP, np.array([1.0, 0.0, 0.0])])
def test_a_line_that_leaves_the_reach_ends_there(direction: np.ndarray) -> None:
    line = straight_line(kinematics(), home(), arm().T_base_tcp(home()), direction, 2.0)
    assert 10 < len(line) < line_steps(2.0)


def test_a_short_line_still_has_points_for_its_timing() -> None:
    line = straight_line(kinematics(), home(), arm().T_base_tcp(home()), UP, 0.004)
    assert len(line) == 6
