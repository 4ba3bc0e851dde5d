"""Straight lines of the tool centre point: straight, evenly spaced, continuous in the joints."""

from __future__ import annotations

import numpy as np
from planning_cell import arm, home, kinematics, profile, tcp_pose

from giga_grasping.straight_motion import STEP_M, straight_line

UP = np.array([0.0, 0.0, 1.0])


def test_the_line_is_straight_keeps_the_orientation_and_is_continuous() -> None:
    goal = tcp_pose([0.15, 0.15, 0.10])
    for start in kinematics().solve(goal)[::7]:
        line = straight_line(kinematics(), start, goal, UP, 0.10)
        if line is None:
            continue
        poses = [arm().T_base_tcp(joints) for joints in line]
        along = np.array([pose.translation - goal.translation for pose in poses])
        np.testing.assert_allclose(along[:, :2], 0.0, atol=1e-6)
        np.testing.assert_allclose(along[:, 2], np.linspace(0.0, 0.10, len(line)), atol=1e-6)
        assert max((goal.rotation.inv() * pose.rotation).magnitude() for pose in poses) < 1e-6
        assert len(line) - 1 == round(0.10 / STEP_M)
        assert np.abs(np.diff(line, axis=0)).max() < 0.12
        assert profile().limits.margin_rad(line).min() >= 0.0
        np.testing.assert_array_equal(line[0], start)


def test_at_least_one_line_was_judged() -> None:
    goal = tcp_pose([0.15, 0.15, 0.10])
    found = [straight_line(kinematics(), start, goal, UP, 0.10) is not None for start in kinematics().solve(goal)[::7]]
    assert any(found)


def test_a_line_out_of_reach_is_none() -> None:
    goal = arm().T_base_tcp(home())
    assert straight_line(kinematics(), home(), goal, UP, 2.0) is None
    assert straight_line(kinematics(), home(), goal, np.array([1.0, 0.0, 0.0]), 0.9) is None


def test_a_short_line_still_has_points_for_its_timing() -> None:
    line = straight_line(kinematics(), home(), arm().T_base_tcp(home()), UP, 0.004)
    assert line is not None
    assert len(line) == 6
