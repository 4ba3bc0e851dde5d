"""Timing: every limit holds, the path is kept, the ends are at rest."""

from __future__ import annotations

import numpy as np
import pytest
from planning_cell import arm, assert_within_limits, dense_positions, home, kinematics, profile, tcp_pose

from giga_grasping.straight_motion import straight_line
from giga_grasping.timing import join_trajectories, rounded_curve, scaled_limits, time_corners, time_line

LIMITS = scaled_limits(profile().limits, 0.6, 0.6)


def corner_path(rng: np.random.Generator, count: int) -> np.ndarray:
    middle = 0.5 * (profile().limits.lower_rad + profile().limits.upper_rad)
    half = 0.5 * (profile().limits.upper_rad - profile().limits.lower_rad)
    return middle + 0.6 * half * rng.uniform(-1.0, 1.0, (count, 7))


@pytest.mark.parametrize("corners", [2, 3, 5])
def test_a_path_with_corners_keeps_every_limit_and_its_ends(corners: int) -> None:
    for seed in range(5):
        path = corner_path(np.random.default_rng(seed), corners)
        trajectory = time_corners(path, LIMITS, lambda joints: True)
        assert_within_limits(trajectory, LIMITS)
        np.testing.assert_allclose(trajectory.positions_rad[0], path[0], atol=1e-9)
        np.testing.assert_allclose(trajectory.positions_rad[-1], path[-1], atol=1e-9)


def test_half_the_speed_takes_about_twice_as_long() -> None:
    path = corner_path(np.random.default_rng(7), 2)
    durations = []
    for scaling in (1.0, 0.5):
        limits = scaled_limits(profile().limits, scaling, scaling)
        trajectory = time_corners(path, limits, lambda joints: True)
        assert_within_limits(trajectory, limits)
        durations.append(trajectory.duration_s)
    assert 1.4 < durations[1] / durations[0] < 2.1


def test_a_single_segment_runs_at_its_limits() -> None:
    path = np.array([home(), home() + np.array([1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])])
    trajectory = time_corners(path, LIMITS, lambda joints: True)
    # From rest to rest under a velocity and an acceleration limit, the jerk's ramps left out.
    fastest = 1.5 / LIMITS.velocity_rad_s[0] + LIMITS.velocity_rad_s[0] / LIMITS.acceleration_rad_s2[0]
    assert fastest <= trajectory.duration_s < 1.05 * fastest


def test_a_corner_that_may_not_be_cut_is_passed_through() -> None:
    path = np.array([home(), home() + np.array([0.8, 0, 0, 0, 0, 0, 0]), home() + np.array([0.8, 0.8, 0, 0, 0, 0, 0])])

    def on_path(joints: np.ndarray) -> bool:
        return bool(abs(joints[1] - home()[1]) < 1e-6 or abs(joints[0] - home()[0] - 0.8) < 1e-6)

    trajectory = time_corners(path, LIMITS, on_path)
    assert_within_limits(trajectory, LIMITS)
    assert all(on_path(joints) for joints in trajectory.positions_rad)


def test_staying_is_a_trajectory() -> None:
    trajectory = time_corners(np.array([home(), home()]), LIMITS, lambda joints: True)
    assert_within_limits(trajectory, LIMITS)


def test_rounded_corners_stay_near_the_path() -> None:
    path = np.array([home(), home() + np.array([1.0, 0, 0, 0, 0, 0, 0]), home() + np.array([1.0, 1.0, 0, 0, 0, 0, 0])])
    for spacing in (0.3, 0.1):
        curve = rounded_curve(path, spacing)
        points = curve(np.linspace(0.0, curve.t[-curve.k - 1], 400)) - home()
        to_path = np.minimum(np.abs(points[:, 1]), np.abs(points[:, 0] - 1.0))
        assert 0.0 < to_path.max() < spacing
        np.testing.assert_allclose(points[[0, -1]], path[[0, -1]] - home(), atol=1e-12)


def test_a_straight_line_of_the_tool_is_followed_to_a_hundredth_of_a_millimetre() -> None:
    goal = tcp_pose([0.15, 0.15, 0.10])
    lines = (straight_line(kinematics(), q, goal, np.array([0.0, 0.0, 1.0]), 0.10) for q in kinematics().solve(goal))
    line = next(line for line in lines if len(line) == 21)
    trajectory = time_line(line, 0.10, 0.10, LIMITS)
    assert_within_limits(trajectory, LIMITS)
    positions = np.array([arm().T_base_tcp(joints).translation for joints in dense_positions(trajectory)])
    assert np.abs(positions[:, :2] - goal.translation[:2]).max() < 1e-5
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) / (trajectory.duration_s / (len(positions) - 1))
    assert 0.09 < speed.max() < 0.101


def test_joined_trajectories_follow_each_other() -> None:
    path = corner_path(np.random.default_rng(2), 3)
    parts = [time_corners(path[k : k + 2], LIMITS, lambda joints: True) for k in (0, 1)]
    joined = join_trajectories(parts)
    assert_within_limits(joined, LIMITS)
    assert joined.duration_s == pytest.approx(sum(part.duration_s for part in parts))
