"""The way back along a trajectory: on the trajectory, from rest to rest, no faster."""

from __future__ import annotations

import numpy as np
import pytest

from giga_grasping.retrace import way_back

TIMES = np.linspace(0.0, 2.0, 101)
# A bend, so that leaving the path would show.
PATH = np.column_stack([TIMES, np.maximum(0.0, TIMES - 1.0)])


def distance_to_path(point: np.ndarray) -> float:
    return float(np.linalg.norm(PATH - point, axis=1).min())


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3])
def test_it_goes_back_on_the_path(share: float) -> None:
    current = PATH[int(share * 100)]
    times, positions, velocities = way_back(PATH, TIMES, current)
    np.testing.assert_allclose(positions[0], current)
    np.testing.assert_allclose(positions[-1], PATH[0], atol=1e-9)
    assert max(distance_to_path(point) for point in positions) < 0.03
    assert np.all(np.diff(times) > 0.0)
    np.testing.assert_array_equal(velocities[[0, -1]], 0.0)
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / np.diff(times)
    mean_speed = np.linalg.norm(np.diff(PATH, axis=0), axis=1).sum() / 2.0
    assert speeds.max() <= 1.05 * mean_speed


def test_from_beside_the_path_it_joins_where_it_is_nearest() -> None:
    times, positions, _ = way_back(PATH, TIMES, np.array([0.5, 0.05]))
    np.testing.assert_allclose(positions[0], [0.5, 0.05])
    assert positions[:, 0].max() <= 0.51
    assert len(times) == len(positions)


def test_at_the_start_there_is_nowhere_to_go() -> None:
    _, positions, velocities = way_back(PATH, TIMES, PATH[0])
    np.testing.assert_allclose(positions, PATH[:1])
    np.testing.assert_array_equal(velocities, 0.0)
