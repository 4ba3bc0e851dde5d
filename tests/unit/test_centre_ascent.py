"""Centres that climb: uphill, bounded, asked again where they end; and the orientations of a centre's neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import Giga, Grasp, GraspDetector, Vgn
from giga_perception.centre_ascent import REACH_M, CentreAscent, neighbours_rotations
from giga_perception.detection_mode import MODES, DetectionMode
from giga_perception.grasp import T_workspace_grasp_origin_from_tcp, T_workspace_tcp_from_grasp_origin
from giga_perception.grid_query import GridSceneQuery, lower_corner_coordinates

PEAK_M = np.array([0.153, 0.148, 0.151])
DOWN = Rotation.from_euler("x", 180.0, degrees=True)


class Hill:
    """Quality falls off around PEAK_M; orientation turns with x, width grows with y."""

    def __init__(self, width_cubes: float = 0.1) -> None:
        self.width_cubes = width_cubes

    def quality_and_gradient(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = points - (PEAK_M / 0.3 - 0.5)
        quality = np.exp(-50.0 * np.sum(away**2, axis=1))
        return quality.astype(np.float32), (-100.0 * away * quality[:, None]).astype(np.float32)

    def rotation_and_width(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rotation = DOWN * Rotation.from_euler("z", points[:, :1])
        return rotation.as_quat().astype(np.float32), np.full(len(points), self.width_cubes, np.float32)


def grasp_at(centre_m: np.ndarray) -> Grasp:
    T_workspace_grasp = RigidTransform.from_components(centre_m, DOWN)
    return Grasp(T_workspace_tcp_from_grasp_origin(T_workspace_grasp), 0.05, 0.7)


def centre_m(grasp: Grasp) -> np.ndarray:
    centre: np.ndarray = T_workspace_grasp_origin_from_tcp(grasp.T_workspace_tcp).translation
    return centre


@pytest.mark.parametrize("smoothed", [False, True])
def test_a_centre_near_the_top_reaches_it_and_is_asked_again_there(smoothed: bool) -> None:
    start = grasp_at(np.array([0.15, 0.15, 0.15]))
    (moved,) = CentreAscent(8, smoothed)(Hill(), (start,))
    assert np.linalg.norm(centre_m(moved) - PEAK_M) < 0.001
    turn_rad = (start.T_workspace_tcp.rotation.inv() * moved.T_workspace_tcp.rotation).magnitude()
    assert turn_rad == pytest.approx(abs(centre_m(moved)[0] / 0.3 - 0.5), abs=1e-5)
    assert moved.width_m == pytest.approx(0.03)
    assert moved.quality == 0.7


def test_a_centre_far_from_the_top_goes_no_further_than_it_may() -> None:
    far_m = PEAK_M + np.array([0.03, 0.0, 0.0])
    (moved,) = CentreAscent(20)(Hill(), (grasp_at(far_m),))
    np.testing.assert_allclose(centre_m(moved), far_m - [REACH_M, 0.0, 0.0], atol=1e-6)


def test_no_centre_leaves_the_allowed_box() -> None:
    class Downhill(Hill):
        def quality_and_gradient(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return -points[:, 2], np.tile(np.float32([0.0, 0.0, -1.0]), (len(points), 1))

    (moved,) = CentreAscent(8)(Downhill(), (grasp_at(np.array([0.15, 0.15, 0.058])),))
    np.testing.assert_allclose(centre_m(moved), [0.15, 0.15, 0.055], atol=1e-9)


def test_a_grasp_that_would_become_too_wide_stays() -> None:
    start = grasp_at(np.array([0.15, 0.15, 0.15]))
    assert CentreAscent()(Hill(width_cubes=0.3), (start,)) == (start,)
    assert CentreAscent()(Hill(), ()) == ()


def test_the_alternatives_keep_the_centre_and_turn_as_its_neighbours_do() -> None:
    poses = RigidTransform.concatenate([grasp_at(np.array([0.15, 0.15, 0.15])).T_workspace_tcp])
    (around,) = neighbours_rotations(Hill(), poses, 0.0075)
    assert len(around) == 7
    np.testing.assert_allclose(around[0].as_matrix(), poses[0].as_matrix(), atol=1e-12)
    centres_m = T_workspace_grasp_origin_from_tcp(around).translation
    np.testing.assert_allclose(centres_m, np.tile([0.15, 0.15, 0.15], (7, 1)), atol=1e-12)
    turns_rad = (DOWN.inv() * around.rotation).as_rotvec()[:, 2]
    np.testing.assert_allclose(turns_rad, [0, 0.025, 0, 0, -0.025, 0, 0], atol=1e-6)


def test_the_network_answers_between_grid_points_as_on_them_and_knows_its_slope() -> None:
    torch.manual_seed(3)
    model = Giga()
    planes = torch.randn(3, 32, 40, 40)
    query = GridSceneQuery(model, planes, 40)
    voxels = np.array([0, 12_345, 40_000])
    axis = lower_corner_coordinates(40).numpy()
    points = np.stack([axis[index] for index in np.unravel_index(voxels, (40, 40, 40))], axis=1)
    quality, _ = query.quality_and_gradient(points)
    rotation, width = query.rotation_and_width(points)
    np.testing.assert_allclose(quality, query.quality(voxels), atol=1e-5)
    np.testing.assert_allclose(rotation, query.rotation(voxels), atol=1e-5)
    np.testing.assert_allclose(width, query.width(voxels), atol=1e-5)
    # Away from the borders of cells, where the slope is one-sided; some of the ReLUs turn on or off on the way.
    between = points[1:] + np.float32(0.4 / 40)
    _, gradient = query.quality_and_gradient(between)
    for along in range(3):
        shift = np.zeros(3, np.float32)
        shift[along] = 1e-4
        difference = query.quality_and_gradient(between + shift)[0] - query.quality_and_gradient(between - shift)[0]
        np.testing.assert_allclose(gradient[:, along], difference / 2e-4, atol=0.1 * np.abs(gradient).max())


def test_what_answers_on_a_grid_only_is_refused() -> None:
    scene = Vgn().scene(np.zeros((40, 40, 40), np.float32), 40)
    start = grasp_at(np.array([0.15, 0.15, 0.15]))
    with pytest.raises(ValueError, match="answers at any point"):
        CentreAscent()(scene, (start,))
    with pytest.raises(ValueError, match="answers at any point"):
        neighbours_rotations(scene, RigidTransform.concatenate([start.T_workspace_tcp]), 0.0075)


def test_the_mode_decides_and_none_of_the_named_ones_climbs() -> None:
    assert GraspDetector.from_file(mode=DetectionMode(ascent_steps=4)).ascent == CentreAscent(4)
    assert GraspDetector.from_file(mode="plain").ascent is None
    assert all(mode.ascent_steps == 0 and not mode.several_rotations for mode in MODES.values())
