"""Balancing successes and failures, and one grasp an encoding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_scenes import box_scene

from giga_perception.training import CHECKPOINT_FILE, TrainingScenes, batch_settings, train
from giga_perception.training_balance import balancing_weights, label_balance
from giga_perception.training_batches import CompactScene, TrainingBatch, compact_scene, make_batch
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def some() -> list[CompactScene]:
    """Scenes of which one point in six is a success, unequally spread."""
    rng = np.random.default_rng(0)
    scenes = [compact_scene(box_scene(seed)) for seed in range(12)]
    return [
        dataclasses.replace(scene, successes=rng.random(len(scene.successes)) < rng.uniform(0.0, 0.3))
        for scene in scenes
    ]


def batch_of(some: list[CompactScene], epoch: int, **recipe: object) -> TrainingBatch:
    settings = batch_settings(TrainingRecipe(steps=1, occupancy_points=2, **recipe), some)  # type: ignore[arg-type]
    return make_batch(some, [np.random.default_rng([epoch, index]) for index in range(len(some))], settings)


def points_used(batch: TrainingBatch, *, success: bool) -> list[bytes]:
    used = (batch.targets.weights > 0) & ((batch.targets.successes > 0) == success)
    return [point.tobytes() for point in batch.grasp_points[used].numpy()]


def test_failures_are_dropped_until_both_kinds_are_equally_many(some: list[CompactScene]) -> None:
    positive = sum(int(scene.successes.sum()) for scene in some)
    total = sum(len(scene.successes) for scene in some)
    assert positive < total / 4
    batches = [batch_of(some, epoch, augmentation="none") for epoch in range(40)]
    assert {len(points_used(batch, success=True)) for batch in batches} == {positive}
    failures = [len(points_used(batch, success=False)) for batch in batches]
    # Each scene rounds its share up or down by chance.
    assert np.mean(failures) == pytest.approx(positive, rel=0.05)
    assert max(failures) <= positive + len(some)
    assert all(torch.all((batch.targets.weights == 0) | (batch.targets.weights == 1)) for batch in batches)


def test_other_failures_are_dropped_each_time_and_none_for_ever(some: list[CompactScene]) -> None:
    first, again, other = (set(points_used(batch_of(some, e, augmentation="none"), success=False)) for e in (0, 0, 1))
    assert first == again
    assert first != other
    seen: set[bytes] = set()
    for epoch in range(60):
        seen |= set(points_used(batch_of(some, epoch, augmentation="none"), success=False))
    assert len(seen) == sum(int((~scene.successes).sum()) for scene in some)


def test_nothing_is_dropped_when_one_kind_is_missing_or_failures_are_few(some: list[CompactScene]) -> None:
    nothing = [dataclasses.replace(scene, successes=np.zeros_like(scene.successes)) for scene in some]
    mostly = [dataclasses.replace(scene, successes=~scene.successes) for scene in some]
    for scenes in (nothing, mostly):
        assert label_balance("drop", scenes).failure_share == 1.0
    assert balancing_weights(nothing) == (1.0, 1.0)


def test_other_balances_use_every_label(some: list[CompactScene]) -> None:
    total = sum(len(scene.successes) for scene in some)
    for balance in ("weigh", "none"):
        targets = batch_of(some, 0, balance=balance).targets
        assert int((targets.weights > 0).sum()) == total
        equal = float(targets.weights[targets.successes > 0].sum()) == pytest.approx(total / 2, rel=1e-4)
        assert equal == (balance == "weigh")


def test_one_grasp_an_encoding(some: list[CompactScene]) -> None:
    batch = batch_of(some, 0, grasps=1, balance="none")
    assert batch.grasp_points.shape == (len(some), 1, 3)
    assert torch.all(batch.targets.weights == 1)


@pytest.mark.parametrize(("field", "value"), [("balance", "even"), ("gradient_limit", -1.0)])
def test_a_recipe_names_what_it_cannot_be(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        TrainingRecipe(steps=1, **{field: value})  # type: ignore[arg-type]


def test_a_run_of_before_there_was_a_balance_goes_on_weighing(some: list[CompactScene], tmp_path: Path) -> None:
    scenes = TrainingScenes(names=tuple(str(i) for i in range(12)), train=tuple(some), validation=())
    recipe = TrainingRecipe(steps=4, batch=2, occupancy_points=64, balance="weigh")
    whole = train(scenes, recipe, tmp_path / "whole").model.state_dict()
    train(scenes, recipe, tmp_path / "old", stop_after=2)
    stored = torch.load(tmp_path / "old" / CHECKPOINT_FILE, weights_only=True)
    del stored["recipe"]["balance"], stored["simulated"]
    torch.save(stored, tmp_path / "old" / CHECKPOINT_FILE)
    with pytest.raises(TrainingError, match=r"another recipe \(balance\)"):
        train(scenes, dataclasses.replace(recipe, balance="drop"), tmp_path / "old")
    resumed = train(scenes, recipe, tmp_path / "old").model.state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_gradient_limit_of_zero_is_none(some: list[CompactScene], tmp_path: Path) -> None:
    scenes = TrainingScenes(names=("a", "b"), train=tuple(some[:2]), validation=())
    recipe = TrainingRecipe(steps=2, batch=2, occupancy_points=64, learning_rate=1e-3, average=0.0)
    found = [
        train(scenes, dataclasses.replace(recipe, gradient_limit=limit), tmp_path / str(limit)).model.state_dict()
        for limit in (0.0, 1e9, 1e-6)
    ]
    name = "encoder.conv_in.weight"
    assert torch.equal(found[0][name], found[1][name])
    assert not torch.equal(found[0][name], found[2][name])
