"""Labelled scenes: the rule of the widest run, points on surfaces, occupancy, and sameness for a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.dataset import open_dataset
from giga_perception.workspace import WORKSPACE_SIZE_M
from giga_sim import dataset_generation
from giga_sim.dataset_generation import GenerationPlan, SceneResult, generate_dataset, tasks_of
from giga_sim.grasp_trial import TrialEnd, TrialOutcome
from giga_sim.label_generation import (
    GenerationSettings,
    PointLabels,
    draw_surface_points,
    generate_scene,
    label_point,
)
from giga_sim.object_sets import ObjectSet, ObjectSetError, split_of
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import make_scene
from giga_sim.yaw_choice import middle_of_widest_run

SETTINGS = GenerationSettings(points_per_scene=4)


@pytest.mark.parametrize(
    ("successes", "index"),
    [
        ("000000", None),
        ("100000", 0),
        ("011100", 2),
        ("110111", 4),
        ("111111", 3),
        ("101010", 0),
    ],
)
def test_the_middle_of_the_widest_run(successes: str, index: int | None) -> None:
    assert middle_of_widest_run([letter == "1" for letter in successes]) == index


def test_a_label_approaches_against_the_normal_within_the_fingers_reach() -> None:
    rng = np.random.default_rng(0)
    normal = np.array([0.6, 0.0, 0.8])
    point = np.array([0.1, 0.1, 0.1])
    labels = PointLabels()
    tried: list[RigidTransform] = []

    def trial(grasp: RigidTransform) -> TrialOutcome:
        tried.append(grasp)
        return TrialOutcome(TrialEnd.LIFTED, 0.03, 1) if len(tried) in (2, 3, 4) else TrialOutcome(TrialEnd.LOST)

    label_point(trial, point, normal, rng, labels)
    assert len(tried) == 6
    assert labels.successes == [True]
    assert labels.widths_m == [0.03]
    rotation = Rotation.from_quat(labels.rotations_xyzw[0])
    np.testing.assert_allclose(rotation.as_matrix()[:, 2], -normal, atol=1e-12)
    assert (rotation.inv() * tried[2].rotation).magnitude() == pytest.approx(0.0, abs=1e-9)
    depth = (labels.centres_m[0] - point) @ normal
    assert -0.005 <= depth <= 0.055
    np.testing.assert_allclose(labels.centres_m[0], point + depth * normal, atol=1e-12)


@pytest.fixture(scope="module")
def world() -> PhysicsWorld:
    return PhysicsWorld()


def test_surface_points_lie_on_the_objects_and_face_outwards(world: PhysicsWorld) -> None:
    rng = np.random.default_rng(3)
    world.reset()
    world.add_table()
    make_scene(world, "packed", ObjectSet.named("parametric"), 3, rng)
    points, normals = draw_surface_points(world, rng, 200)
    assert points.shape == normals.shape == (200, 3)
    assert np.all((points >= 0.0) & (points <= WORKSPACE_SIZE_M))
    assert normals[:, 2].min() > -0.1

    def inside_any(at: np.ndarray) -> np.ndarray:
        hit = np.zeros(len(at), dtype=bool)
        for body_id, simulated in world.objects.items():
            local = world.pose(body_id).inv().apply(at) / simulated.scale
            hit |= simulated.model.contains(local)
        return hit

    assert inside_any(points - 5e-4 * normals).mean() > 0.95
    assert inside_any(points + 5e-4 * normals).mean() < 0.05


def test_a_seed_gives_one_scene(world: PhysicsWorld) -> None:
    objects = ObjectSet.named("parametric").split("train")
    first, second = (generate_scene(world, "packed", objects, "train", 11, SETTINGS) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    np.testing.assert_array_equal(first.centres_m, second.centres_m)
    np.testing.assert_array_equal(first.successes, second.successes)
    np.testing.assert_array_equal(first.occupancy, second.occupancy)
    assert 0.0 < first.occupancy.mean() < 0.3
    other = generate_scene(world, "packed", objects, "train", 12, SETTINGS)
    assert other is not None
    assert not np.array_equal(first.depth_m, other.depth_m)


def test_other_views_change_nothing_else_and_follow_the_protocol(world: PhysicsWorld) -> None:
    objects = ObjectSet.named("parametric").split("train")
    plain = generate_scene(world, "packed", objects, "train", 11, SETTINGS)
    settings = GenerationSettings(points_per_scene=4, random_views=3, ring_views=2)
    seen, again = (generate_scene(world, "packed", objects, "train", 11, settings) for _ in range(2))
    assert plain is not None
    assert seen is not None
    assert again is not None
    assert plain.other_views == ()
    for name in ("depth_m", "centres_m", "rotations_xyzw", "successes", "occupancy"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(plain, name))
    assert len(seen.other_views) == 5
    for one, other in zip(seen.other_views, again.other_views, strict=True):
        np.testing.assert_array_equal(one.depth_m, other.depth_m)
    for view in seen.other_views[:3]:
        eye = view.T_camera_workspace.inv().translation - [0.15, 0.15, 0.25]
        distance_m = np.linalg.norm(eye)
        assert 0.6 <= distance_m <= 0.75
        assert 45.0 <= np.degrees(np.arccos(eye[2] / distance_m)) <= 60.0
        assert eye[1] >= 0.0
    assert len({view.T_camera_workspace.as_matrix().tobytes() for view in seen.other_views}) == 5


def plan_in(folder: Path, scene_count: int) -> GenerationPlan:
    return GenerationPlan(folder, scene_count, ("packed",), ("parametric",), 40, SETTINGS)


def test_generation_goes_on_where_it_stopped_and_keeps_objects_of_the_splits_apart(tmp_path: Path) -> None:
    results: list[SceneResult] = []
    for count in (1, 2, 2):
        generate_dataset(
            plan_in(tmp_path, count), workers=1, time_limit_s=None, report=lambda result, left: results.append(result)
        )
    assert [result.task.seed for result in results] == [40, 41]
    dataset = open_dataset(tmp_path)
    assert dataset.header["generator"] == "giga generate"
    for scene in dataset:
        assert {split_of(name) for name in scene.object_names} == {scene.split}


def test_plans_hold_out_scenes_and_let_kinds_and_sets_take_turns(tmp_path: Path) -> None:
    plan = GenerationPlan(tmp_path, 68, ("pile", "packed"), ("parametric", "a/{scene}/train"), 0, SETTINGS)
    tasks = tasks_of(plan)
    assert {(task.kind, task.object_set) for task in tasks} == {
        ("pile", "parametric"),
        ("packed", "parametric"),
        ("pile", "a/pile/train"),
        ("packed", "a/packed/train"),
    }
    held_out = [task for task in tasks if task.split == "val"]
    assert len(held_out) == 4
    assert {(task.kind, task.object_set) for task in held_out} == {(task.kind, task.object_set) for task in tasks}


def test_an_unknown_object_set_fails_before_any_work(tmp_path: Path) -> None:
    plan = GenerationPlan(tmp_path, 1, ("pile",), ("no/such/folder",), 0, SETTINGS)
    with pytest.raises(ObjectSetError, match="no/such/folder"):
        dataset_generation.check_plan(plan)
