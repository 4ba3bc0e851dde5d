"""Trials for the judge: repeatable, of candidates and variants, with both outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from giga_perception import Giga, GraspDetector
from giga_perception.grasp_judge import FEATURE_COUNT, PATCH_SHAPE
from giga_perception.weights import SHIPPED_MODEL
from giga_sim.judge_trials import (
    BEST_CANDIDATES,
    OTHER_CANDIDATES,
    VARIANTS,
    lessons_of,
    object_sets_of,
    read_trials,
    trials_in_scene,
    write_trials,
)
from giga_sim.object_sets import ObjectSet, ObjectSetError
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
    count, each = len(first), 1 + VARIANTS
    assert each <= count <= each * (BEST_CANDIDATES + OTHER_CANDIDATES)
    assert count % each == 0, "each candidate comes with its variants"
    # Candidate and variant share the network's quality and width, and differ in place.
    np.testing.assert_array_equal(first.quality[0::each], first.quality[1::each])
    placed = np.linalg.norm(np.diff(first.T_workspace_tcp.as_matrix().reshape(-1, each, 16), axis=1), axis=2)
    assert np.all(placed > 0.001)
    again = trials_in_scene(world, detector, objects, SEED)
    assert again is not None
    np.testing.assert_array_equal(again.T_workspace_tcp.as_matrix(), first.T_workspace_tcp.as_matrix())
    np.testing.assert_array_equal(again.successes, first.successes)


def test_stored_trials_teach_the_same(world: PhysicsWorld, objects: ObjectSet, tmp_path: Path) -> None:
    detector = GraspDetector.from_file(SHIPPED_MODEL, mode="plain", threshold=0.25)
    scenes = [trials for seed in (SEED, SEED + 1) if (trials := trials_in_scene(world, detector, objects, seed))]
    assert len(scenes) == 2
    write_trials(tmp_path / "trials.npz", scenes)
    again = read_trials(tmp_path / "trials.npz")
    assert [len(trials) for trials in again] == [len(trials) for trials in scenes]
    assert isinstance(detector.model, Giga)
    (first, held, seeds), (second, held_again, _) = (lessons_of(detector.model, some) for some in (scenes, again))
    assert first.patches.shape == (len(held), *PATCH_SHAPE)
    assert first.features.shape == (len(held), FEATURE_COUNT)
    assert first.patches.max() > 0.8, "the shape around the hands was looked at"
    np.testing.assert_array_equal(held_again, held)
    assert set(seeds) == {SEED, SEED + 1}
    # Storing rounds the TSDF to half precision; a point on a voxel's edge may then fall on its other side.
    np.testing.assert_allclose(second.features, first.features, atol=1e-4)
    assert np.mean(np.abs(second.patches - first.patches) > 0.02) < 1e-3


def test_files_that_hold_no_trials_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trials_0.npz"
    np.savez(path, patches=np.zeros(3))
    with pytest.raises(ValueError, match=r"trials_0.npz is no file of trials"):
        read_trials(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"trials_0.npz is damaged"):
        read_trials(path)


def test_object_sets_take_the_kind_of_scene_in_their_name(objects: ObjectSet) -> None:
    sets = object_sets_of(["parametric"])
    assert sorted(sets) == [("parametric", "packed"), ("parametric", "pile")]
    with pytest.raises(ObjectSetError, match=r"no_such_folder/(pile|packed)"):
        object_sets_of(["no_such_folder/{scene}"])


def test_a_detector_that_proposes_nothing_gives_no_trials(world: PhysicsWorld, objects: ObjectSet) -> None:
    silent = Giga()
    with torch.no_grad():
        silent.decoder_qual.fc_out.bias.fill_(-50.0)
    assert trials_in_scene(world, GraspDetector(silent), objects, SEED) is None
