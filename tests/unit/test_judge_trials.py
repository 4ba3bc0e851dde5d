"""Trials for the judge: repeatable, of candidates and variants, with both outcomes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from giga_perception import Giga, GraspDetector
from giga_perception.grasp_judge import FEATURE_COUNT, PATCH_SHAPE
from giga_perception.weights import SHIPPED_MODEL
from giga_sim.judge_trials import BEST_CANDIDATES, OTHER_CANDIDATES, trials_in_scene
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld

SEED = 1_000_001


@pytest.fixture(scope="module")
def world() -> PhysicsWorld:
    torch.set_num_threads(1)
    return PhysicsWorld()


@pytest.fixture(scope="module")
def objects() -> ObjectSet:
    return ObjectSet.named("parametric").split("train")


def test_a_scene_is_tried_the_same_way_every_time(world: PhysicsWorld, objects: ObjectSet) -> None:
    detector = GraspDetector.from_file(SHIPPED_MODEL, mode="plain", threshold=0.25)
    first = trials_in_scene(world, detector, objects, SEED)
    assert first is not None
    count = len(first)
    assert 2 <= count <= 2 * (BEST_CANDIDATES + OTHER_CANDIDATES)
    assert count % 2 == 0, "each candidate comes with a variant"
    assert first.patches.shape == (count, *PATCH_SHAPE)
    assert first.patches.max() > 200, "the shape around the hands was looked at"
    assert first.features.shape == (count, FEATURE_COUNT)
    # Candidate and variant share the network's quality and width, and differ in place.
    np.testing.assert_array_equal(first.features[0::2, :2], first.features[1::2, :2])
    assert np.any(first.patches[0::2] != first.patches[1::2])
    again = trials_in_scene(world, detector, objects, SEED)
    assert again is not None
    np.testing.assert_array_equal(again.patches, first.patches)
    np.testing.assert_array_equal(again.successes, first.successes)


def test_a_detector_that_proposes_nothing_gives_no_trials(world: PhysicsWorld, objects: ObjectSet) -> None:
    silent = Giga()
    with torch.no_grad():
        silent.decoder_qual.fc_out.bias.fill_(-50.0)
    assert trials_in_scene(world, GraspDetector(silent), objects, SEED) is None
