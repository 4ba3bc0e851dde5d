"""The first stage of the two-stage detector: what is seen, where hands fit, and what the classifier is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation
from synthetic_scenes import box_scene

from giga_perception.camera import DepthView
from giga_perception.dataset import LabelledScene
from giga_perception.two_stage.hand_candidates import Candidates, draw_candidates, hand_fit
from giga_perception.two_stage.local_grid import (
    CELLS,
    CHANNELS_A_PLANE,
    GRID_CHANNELS,
    PLANES,
    hand_features,
    local_grids,
)
from giga_perception.two_stage.observed_cloud import POINT_SPACING_M, ObservedCloud, observe
from giga_perception.two_stage.open_hand import CLOSING_REGION, FINGER_ROOTS, FINGER_TIPS, PALM, SOLID_PARTS
from giga_sim.gripper_hand import HAND_TO_GRASP_ORIGIN_M, open_hand_parts

BOX_LOW, BOX_HIGH = np.array([0.13, 0.09, 0.05]), np.array([0.17, 0.21, 0.13])
TCP_FROM_HAND_M = 0.1034


def box_cloud() -> ObservedCloud:
    """Five faces of a box of 4 x 12 x 8 cm on the table, a point each 5 mm."""
    points, normals = [], []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        along = [np.arange(BOX_LOW[other] + 0.0025, BOX_HIGH[other], 0.005) for other in others]
        first, second = (grid.ravel() for grid in np.meshgrid(*along))
        for side, sign in ((BOX_LOW, -1.0), (BOX_HIGH, 1.0)):
            if axis == 2 and sign < 0:
                continue
            face = np.empty((len(first), 3))
            face[:, axis], face[:, others[0]], face[:, others[1]] = side[axis], first, second
            points.append(face)
            normals.append(np.tile(sign * np.eye(3)[axis], (len(face), 1)))
    together = np.concatenate(points).astype(np.float32)
    return ObservedCloud(together, np.concatenate(normals).astype(np.float32), np.zeros(len(together), dtype=bool))


def box_candidates() -> Candidates:
    return draw_candidates(box_cloud(), np.random.default_rng(0))


def view_of(scene: LabelledScene, factor: float = 1.0) -> DepthView:
    return DepthView((scene.depth_m * factor).astype(np.float32), scene.camera, scene.T_camera_workspace)


def test_hands_close_across_the_short_side_of_a_box() -> None:
    found = box_candidates()
    assert len(found) > 20
    assert found.placed > found.clear >= found.holding >= len(found)
    R = found.T_workspace_tcp.rotation.as_matrix()
    from_above = R[:, 2, 2] < -0.99
    assert from_above.sum() > 20
    # At the corners a hand may close aslant over two faces.
    assert np.mean(np.abs(R[from_above, 0, 1]) > np.cos(np.deg2rad(46.0))) > 0.85
    assert np.all(found.widths_m[from_above] > 0.035)
    assert np.all(found.widths_m < 0.08)


def test_hands_hold_points_and_touch_none() -> None:
    found, points = box_candidates(), box_cloud().points_m
    for index in range(0, len(found), 7):
        local = np.asarray(found.T_workspace_tcp[index].inv().apply(points)).astype(np.float32)
        assert not any(part.contains(local).any() for part in SOLID_PARTS)
        assert CLOSING_REGION.contains(local).sum() >= 5
        assert np.all(found.T_workspace_tcp[index].apply([[0.0, 0.05, 0.009], [0.0, -0.05, 0.009]])[:, 2] > 0.05)


def hand_above(x: float, y: float, z: float) -> RigidTransform:
    """One hand straight down that closes along x, its TCP there."""
    down = Rotation.from_matrix(np.column_stack([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]))
    return RigidTransform.from_components([[x, y, z]], down)


@pytest.mark.parametrize(
    ("hand", "clear", "holding"),
    [
        (hand_above(0.15, 0.15, 0.11), True, True),
        (hand_above(0.12, 0.15, 0.11), False, False),  # a finger in the box
        (hand_above(0.15, 0.15, 0.08), False, False),  # the palm in the box
        (hand_above(0.15, 0.15, 0.25), True, False),  # nothing between the fingers
        (hand_above(0.25, 0.15, 0.055), False, False),  # the fingers in the table
        (hand_above(0.28, 0.15, 0.20), False, False),  # a finger outside of the workspace
    ],
)
def test_a_hand_fits_only_around_something(hand: RigidTransform, clear: bool, holding: bool) -> None:
    fit = hand_fit(box_cloud(), hand)
    assert (bool(fit.clear[0]), bool(fit.holding[0])) == (clear, holding)


def test_a_finger_never_meets_a_face_that_looks_at_the_other_finger() -> None:
    cloud = box_cloud()
    inside_out = replace(cloud, normals=-cloud.normals)
    assert not hand_fit(inside_out, hand_above(0.15, 0.15, 0.11)).holding[0]


def test_the_width_is_the_extent_of_what_is_seen() -> None:
    assert hand_fit(box_cloud(), hand_above(0.15, 0.15, 0.11)).widths_m[0] == pytest.approx(0.04, abs=1e-4)


def test_a_table_alone_offers_nothing() -> None:
    cloud = box_cloud()
    nothing = draw_candidates(
        replace(cloud, on_table=np.ones(len(cloud.points_m), dtype=bool)), np.random.default_rng(0)
    )
    assert len(nothing) == nothing.placed == 0


def test_the_hands_boxes_are_those_of_its_meshes() -> None:
    shift = np.array([0.0, 0.0, HAND_TO_GRASP_ORIGIN_M - TCP_FROM_HAND_M])
    housing, finger, _ = (part + shift for part in open_hand_parts())
    assert PALM.high_z_m == pytest.approx(housing[:, 2].max(), abs=1e-3)
    assert PALM.x_m == pytest.approx(housing[:, 0].max(), abs=1e-3)
    assert PALM.outer_y_m == pytest.approx(np.abs(housing[:, 1]).max(), abs=1e-3)
    assert FINGER_TIPS.high_z_m == pytest.approx(finger[:, 2].max(), abs=1e-3)
    assert FINGER_TIPS.x_m == pytest.approx(finger[:, 0].max(), abs=1e-3)
    assert FINGER_TIPS.inner_y_m == pytest.approx(finger[:, 1].min(), abs=1e-3)
    assert FINGER_ROOTS.outer_y_m == pytest.approx(finger[:, 1].max(), abs=1e-3)
    beyond = finger[finger[:, 2] > FINGER_TIPS.low_z_m]
    assert beyond[:, 1].max() <= FINGER_TIPS.outer_y_m + 1e-3


def test_a_single_point_fills_one_cell_of_each_plane() -> None:
    hand = RigidTransform.from_components(
        [[0.1, 0.2, 0.12]], Rotation.from_euler("xyz", [[170.0, 20.0, 40.0]], degrees=True)
    )
    place = np.array([0.011, -0.031, 0.006])
    cloud = ObservedCloud(
        np.asarray(hand.apply(place)).reshape(1, 3).astype(np.float32),
        np.asarray(hand.rotation.apply([0.0, 1.0, 0.0])).reshape(1, 3).astype(np.float32),
        np.zeros(1, dtype=bool),
    )
    grid = local_grids(cloud, hand)
    assert grid.shape == (1, GRID_CHANNELS, CELLS, CELLS)
    share = (place - [-0.03, -0.06, -0.05]) / [0.06, 0.12, 0.08]
    for plane, (row, column, along) in enumerate(PLANES):
        channels = grid[0, plane * CHANNELS_A_PLANE : (plane + 1) * CHANNELS_A_PLANE]
        cell = (int(share[row] * CELLS), int(share[column] * CELLS))
        assert channels[0].sum() == 1.0
        np.testing.assert_allclose(
            channels[:, cell[0], cell[1]], [1.0, 2.0 * share[along] - 1.0, 0.0, 1.0, 0.0], atol=1e-5
        )


def test_features_say_height_and_direction() -> None:
    np.testing.assert_allclose(hand_features(hand_above(0.15, 0.15, 0.10)), [[0.41, 1.0, 0.0]], atol=1e-5)


def test_points_and_normals_of_a_view() -> None:
    scene = box_scene(5)
    cloud = observe([view_of(scene)])
    table = cloud.points_m[cloud.on_table]
    assert len(table) > 500
    np.testing.assert_allclose(table[:, 2], 0.05, atol=0.008)
    assert np.median(cloud.normals[cloud.on_table, 2]) > 0.99
    assert 100 < len(cloud.off_table().points_m) < len(cloud.points_m)
    eye = scene.T_camera_workspace.inv().translation
    assert np.all(np.einsum("nc,nc->n", cloud.normals, eye - cloud.points_m) > -1e-6)
    distances = np.linalg.norm(cloud.points_m[:200, None] - cloud.points_m[None], axis=2)
    assert np.median(np.sort(distances, axis=1)[:, 1]) == pytest.approx(POINT_SPACING_M, rel=0.3)


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_an_image_of_wrong_scale_is_levelled_by_the_table(factor: float) -> None:
    scene = box_scene(5)
    true, seen = observe([view_of(scene)]), observe([view_of(scene, factor)])
    for cloud in (true, seen):
        assert np.median(cloud.points_m[cloud.on_table, 2]) == pytest.approx(0.05, abs=5e-4)
    assert seen.points_m[:, 2].max() == pytest.approx(true.points_m[:, 2].max(), abs=3e-3)


def test_an_image_without_readings_is_an_empty_cloud() -> None:
    assert len(observe([view_of(box_scene(5), 0.0)]).points_m) == 0
