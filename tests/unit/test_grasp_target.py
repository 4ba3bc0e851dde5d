"""The target of a grasp: what lies between the fingers, grown by a voxel's doubt, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from planning_cell import arm, cell, scene_of, standing_box, tcp_pose

from giga_grasping.grasp_target import TARGET_GROWTH_M, target_triangles, triangles_meet_box
from giga_grasping.scene_store import MAX_TRIANGLES, SceneError, SceneStore, perceived_scene


def test_the_box_between_the_fingers_is_target_and_its_neighbour_is_not() -> None:
    scene = scene_of(standing_box(0.15, 0.15, [0.03, 0.03, 0.06]), standing_box(0.15, 0.25, [0.03, 0.03, 0.06]))
    grasp = tcp_pose([0.15, 0.15, 0.09])
    target = target_triangles(scene.corners_m, grasp, arm().closing_volume)
    centres = cell().T_base_workspace.inv().apply(scene.corners_m.mean(axis=1))
    assert target.any()
    assert centres[target][:, 1].max() < 0.18
    # All that the grown closing volume holds of the first box's upper part is in it.
    upper_part = (centres[:, 1] < 0.2) & (centres[:, 2] > 0.09) & (np.abs(centres[:, 0] - 0.15) < 0.015)
    assert target[upper_part].all()


def test_a_large_triangle_is_cut_so_that_the_target_ends_near_the_fingers() -> None:
    scene = scene_of(standing_box(0.15, 0.15, [0.28, 0.03, 0.06]))
    grasp = tcp_pose([0.15, 0.15, 0.09])
    target = target_triangles(scene.corners_m, grasp, arm().closing_volume)
    along = np.abs(scene.corners_m[target][..., 0] - grasp.translation[0])
    reach = arm().closing_volume.upper_m[0] + TARGET_GROWTH_M
    assert reach - 0.002 < along.max() < reach + 0.016


def test_triangles_meet_box_agrees_with_sampled_points() -> None:
    rng = np.random.default_rng(3)
    lower, upper = np.array([-0.3, -0.2, -0.1]), np.array([0.3, 0.2, 0.1])
    corners = rng.uniform(-0.8, 0.8, (300, 3, 3))
    weights = rng.dirichlet(np.ones(3), 4000)
    points = np.einsum("sk,tkx->tsx", weights, corners)
    sampled = np.all((points >= lower) & (points <= upper), axis=2).any(axis=1)
    meets = triangles_meet_box(corners, lower, upper)
    assert not np.any(sampled & ~meets)
    # Sampling misses slivers only.
    assert np.mean(meets & ~sampled) < 0.05
    assert 0.1 < sampled.mean() < 0.9


def test_a_scene_that_cannot_be_used_is_refused_with_a_sentence() -> None:
    base = cell().T_base_workspace
    vertices = np.zeros((3, 3))
    many = np.zeros((MAX_TRIANGLES + 1, 3), dtype=np.int64)
    with pytest.raises(SceneError, match="decimate"):
        perceived_scene(vertices, many, base)
    with pytest.raises(SceneError, match="names a vertex"):
        perceived_scene(vertices, np.array([[0, 1, 3]]), base)
    with pytest.raises(SceneError, match="not finite"):
        perceived_scene(np.full((3, 3), np.nan), np.array([[0, 1, 2]]), base)


def test_the_store_forgets_the_oldest_and_knows_the_empty_scene() -> None:
    store = SceneStore(capacity=2)
    ids = [store.add(scene_of(standing_box(0.1, 0.1, [0.02, 0.02, 0.02]))) for _ in range(3)]
    assert len(set(ids)) == 3
    assert store.get(ids[0]) is None
    assert store.get(ids[2]) is not None
    empty = store.get("")
    assert empty is not None
    assert len(empty.triangles) == 0
    assert store.known_ids() == tuple(ids[1:])
