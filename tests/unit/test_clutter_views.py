"""What the clutter benchmark lets a detector see: how many views, from where, and how noisy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from giga_perception.depth_noise import add_depth_noise
from giga_sim.camera_views import draw_random_view
from giga_sim.clutter_settings import ClutterSettings, Protocol, Views
from giga_sim.clutter_views import camera_poses, observe
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.side_view_camera import CAMERA, render_depth, side_view

P1 = ClutterSettings(None, "packed", "parametric", None, 2, 0.5, 0.5, 40, False)


@pytest.fixture(scope="module")
def bare_table() -> PhysicsWorld:
    world = PhysicsWorld()
    world.add_table()
    return world


def test_the_papers_view_is_the_side_view_with_its_noise(bare_table: PhysicsWorld) -> None:
    (view,) = observe(bare_table, P1, np.random.default_rng(3))
    clean = render_depth([], CAMERA, side_view(), table=DEFAULT_TABLE)
    np.testing.assert_array_equal(view.depth_m, add_depth_noise(clean, np.random.default_rng(3)))


def test_random_views_keep_to_the_protocol() -> None:
    rng = np.random.default_rng(0)
    positions_m = np.array([draw_random_view(rng).inv().translation for _ in range(300)])
    outward = positions_m - [0.15, 0.15, 0.25]
    distance_m = np.linalg.norm(outward, axis=1)
    theta_deg = np.rad2deg(np.arccos(outward[:, 2] / distance_m))
    assert (distance_m.min(), distance_m.max()) == pytest.approx((0.60, 0.75), abs=0.005)
    assert (theta_deg.min(), theta_deg.max()) == pytest.approx((45.0, 60.0), abs=0.5)
    phi_deg = np.rad2deg(np.arctan2(outward[:, 1], outward[:, 0]))
    assert (phi_deg.min(), phi_deg.max()) == pytest.approx((0.0, 180.0), abs=3.0)


def test_a_random_view_is_another_one_each_time_and_sees_the_table(bare_table: PhysicsWorld) -> None:
    rng, settings = np.random.default_rng(1), replace(P1, protocol="P2")
    (first,), (second,) = observe(bare_table, settings, rng), observe(bare_table, settings, rng)
    assert not np.allclose(first.T_camera_workspace.as_matrix(), second.T_camera_workspace.as_matrix())
    for view in (first, second):
        clean = render_depth([], CAMERA, view.T_camera_workspace, table=DEFAULT_TABLE)
        seen = clean > 0
        assert seen.mean() > 0.5
        assert (view.depth_m - clean)[seen].std() == pytest.approx(0.0008, rel=0.05)


def test_six_views_stand_around_the_table_each_with_its_own_noise(bare_table: PhysicsWorld) -> None:
    views = observe(bare_table, replace(P1, views="six"), np.random.default_rng(0))
    assert len(views) == 6
    positions_m = np.array([view.T_camera_workspace.inv().translation for view in views])
    np.testing.assert_allclose(positions_m.mean(axis=0)[:2], [0.15, 0.15], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(positions_m - [0.15, 0.15, 0.05], axis=1), 0.6)
    # By symmetry all six see the same bare table, so what differs is noise.
    means_m = [float(view.depth_m[200:280, 280:360].mean()) for view in views]
    assert len(set(means_m)) == 6


@pytest.mark.parametrize(
    ("protocol", "views", "taken"), [("P1", None, "side"), ("P2", None, "random"), ("P2", "six", "six")]
)
def test_each_protocol_has_its_own_view(protocol: Protocol, views: Views | None, taken: Views) -> None:
    settings = replace(P1, protocol=protocol, views=views)
    assert settings.views_taken == taken
    assert len(camera_poses(taken, np.random.default_rng(0))) == (6 if taken == "six" else 1)


def test_a_view_of_the_other_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="P2 knows no 'side' views: say random or six"):
        replace(P1, protocol="P2", views="side")
