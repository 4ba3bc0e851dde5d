"""The fast trials end as the plain ones do, and the plain mode makes scenes of the same form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from giga_sim.gripper_hand import GripperHand
from giga_sim.label_generation import GenerationSettings, PreparedScene, generate_scene, label_points, prepare_scene
from giga_sim.label_trials import LabelTrials
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.reference_trials import ReferenceTrials
from giga_sim.trial_comparison import ReferenceParts, SceneComparison, compare_scenes, figures_of

SEED = 900000


@pytest.fixture(scope="module")
def objects() -> ObjectSet:
    return ObjectSet.named("parametric").split("train")


@pytest.fixture(scope="module")
def scenes(objects: ObjectSet) -> list[SceneComparison]:
    chosen = {"pile": objects, "packed": objects}
    return list(compare_scenes(("pile", "packed"), chosen, 240, SEED, 20, ReferenceParts()))


def test_outcomes_agree(scenes: list[SceneComparison]) -> None:
    figures = figures_of(scenes)
    assert figures.trials == 240
    assert figures.points == 40
    assert figures.agreement_percent >= 98.0  # 99.6 % over thousands of trials; of 240 few may differ
    assert 2.0 < figures.reference_success_percent < 60.0
    assert figures.median_width_difference_m < 0.001
    assert figures.ratio > 1.0


def test_figures_count_what_differs(scenes: list[SceneComparison]) -> None:
    (scene,) = [scene for scene in scenes if scene.kind == "packed"]
    opposite = replace(scene, fast=tuple(not success for success in scene.reference))
    figures = figures_of([opposite])
    assert figures.agreement_percent == 0.0
    assert figures.lifted_by_any == figures.trials
    assert figures.agreement_where_any_lifts_percent == 0.0
    assert figures.fast_success_percent == pytest.approx(100.0 - figures.reference_success_percent)


def test_plain_trials_leave_the_scene_as_it_was(objects: ObjectSet) -> None:
    world = PhysicsWorld()
    scene = prepare_scene(world, "packed", objects, SEED, 6)
    assert isinstance(scene, PreparedScene)
    bodies = world.client.getNumBodies()
    before = [world.pose(body).as_matrix() for body in world.objects]
    label_points(ReferenceTrials(world), scene)
    assert world.client.getNumBodies() == bodies
    np.testing.assert_array_equal([world.pose(body).as_matrix() for body in world.objects], before)


def test_labels_are_those_of_all_yaws_though_fewer_are_tried(objects: ObjectSet) -> None:
    """Which also takes that a trial leaves nothing behind for the next."""
    world = PhysicsWorld()
    scene = prepare_scene(world, "packed", objects, SEED, 24)
    assert scene is not None
    trials = LabelTrials(world, GripperHand(world))
    few, all_of_them = label_points(trials, scene), label_points(trials, scene, only_what_decides=False)
    assert few.trials.count(None) > 0
    assert all_of_them.trials.count(None) == 0
    assert any(few.successes)
    assert few.successes == all_of_them.successes
    assert few.widths_m == all_of_them.widths_m
    np.testing.assert_array_equal(few.rotations_xyzw, all_of_them.rotations_xyzw)


def test_the_plain_mode_makes_the_same_scene(objects: ObjectSet) -> None:
    world = PhysicsWorld()
    plain, fast = (
        generate_scene(world, "packed", objects, "train", SEED, GenerationSettings(4, reference=reference))
        for reference in (True, False)
    )
    assert plain is not None
    assert fast is not None
    np.testing.assert_array_equal(plain.depth_m, fast.depth_m)
    np.testing.assert_array_equal(plain.centres_m, fast.centres_m)
