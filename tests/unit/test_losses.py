"""The training objective: the gripper's symmetry, masks and weights."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from giga_perception.losses import (
    GraspTargets,
    loss_counts,
    rotation_loss,
    training_losses,
    turned_about_approach,
)
from giga_perception.network import GraspPrediction, ScenePrediction
from giga_perception.validation import area_under_roc


def some_prediction() -> ScenePrediction:
    generator = torch.Generator().manual_seed(0)
    grasps = GraspPrediction(
        quality_logits=torch.randn(2, 3, generator=generator),
        rotations=torch.nn.functional.normalize(torch.randn(2, 3, 4, generator=generator), dim=-1),
        widths=torch.rand(2, 3, generator=generator),
    )
    return ScenePrediction(grasps, occupancy_logits=torch.randn(2, 5, generator=generator))


def some_targets() -> GraspTargets:
    return GraspTargets(
        successes=torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        weights=torch.tensor([[2.0, 0.5, 0.0], [0.5, 2.0, 0.0]]),
        rotations=torch.from_numpy(Rotation.random(6, random_state=1).as_quat().astype(np.float32)).view(2, 3, 4),
        widths_cubes=torch.full((2, 3), 0.2),
        occupancy=torch.tensor([[1.0, 0, 0, 1, 0], [0.0, 1, 1, 0, 0]]),
    )


def test_turning_about_the_approach_is_the_rotation_by_half_a_turn_about_z() -> None:
    grasps = Rotation.random(10, random_state=0)
    turned = turned_about_approach(torch.from_numpy(grasps.as_quat())).numpy()
    expected = grasps * Rotation.from_euler("z", 180, degrees=True)
    assert np.max((Rotation.from_quat(turned).inv() * expected).magnitude()) < 1e-6


def test_the_same_grasp_costs_nothing_in_any_of_its_four_quaternions() -> None:
    target = torch.from_numpy(Rotation.random(10, random_state=0).as_quat())
    for same in (target, -target, turned_about_approach(target), -turned_about_approach(target)):
        assert rotation_loss(same, target).max() < 1e-9
    quarter = (Rotation.from_quat(target.numpy()) * Rotation.from_euler("z", 90, degrees=True)).as_quat()
    torch.testing.assert_close(
        rotation_loss(torch.from_numpy(quarter), target), torch.full((10,), 1 - math.cos(math.pi / 4)).double()
    )


def test_terms_are_those_of_the_paper() -> None:
    prediction, targets = some_prediction(), some_targets()
    losses = training_losses(prediction, targets)
    quality = torch.sigmoid(prediction.grasps.quality_logits)
    bce = -(targets.successes * quality.log() + (1 - targets.successes) * (1 - quality).log())
    assert losses.quality.item() == pytest.approx(((bce * targets.weights).sum() / 5.0).item(), rel=1e-5)
    width = [(prediction.grasps.widths[b, n].item() - 0.2) ** 2 for b, n in ((0, 0), (1, 1))]
    assert losses.width.item() == pytest.approx(0.01 * 1600 * sum(width) / 2, rel=1e-5)
    rotation = rotation_loss(prediction.grasps.rotations, targets.rotations)
    assert losses.rotation.item() == pytest.approx((rotation[0, 0] + rotation[1, 1]).item() / 2, rel=1e-5)
    assert losses.total.item() == pytest.approx(sum(v for k, v in losses.as_floats().items() if k != "total"), rel=1e-5)


def test_failures_teach_no_orientation_and_padding_teaches_nothing() -> None:
    prediction, targets = some_prediction(), some_targets()
    before = training_losses(prediction, targets).total
    rotations, widths, logits = (
        prediction.grasps.rotations.clone(),
        prediction.grasps.widths.clone(),
        prediction.grasps.quality_logits.clone(),
    )
    rotations[0, 1] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    widths[0, 1] = 9.0
    logits[:, 2] = 30.0
    changed = GraspPrediction(rotations=rotations, widths=widths, quality_logits=logits)
    assert training_losses(dataclasses.replace(prediction, grasps=changed), targets).total == before


def test_heads_that_a_network_lacks_cost_nothing() -> None:
    prediction, targets = some_prediction(), some_targets()
    everything = training_losses(prediction, targets).as_floats()
    blind = training_losses(dataclasses.replace(prediction, occupancy_logits=None), targets).as_floats()
    assert blind.keys() == {"quality", "rotation", "width", "total"}
    assert blind["total"] == pytest.approx(everything["total"] - everything["occupancy"], rel=1e-5)
    only_geometry = training_losses(dataclasses.replace(prediction, grasps=None), targets).as_floats()
    assert only_geometry == {"occupancy": everything["occupancy"], "total": everything["occupancy"]}


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    prediction, targets = some_prediction(), some_targets()
    # One part without a success: its own means would count it twice.
    targets = dataclasses.replace(targets, successes=torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    whole = training_losses(prediction, targets).as_floats()
    counts = loss_counts(targets)
    sums = dict.fromkeys(whole, 0.0)
    for part in (slice(0, 1), slice(1, 2)):
        grasps = GraspPrediction(**{name: value[part] for name, value in vars(prediction.grasps).items()})
        some = ScenePrediction(grasps, occupancy_logits=prediction.occupancy_logits[part])
        parts_targets = GraspTargets(**{name: value[part] for name, value in vars(targets).items()})
        for name, value in training_losses(some, parts_targets, counts).as_floats().items():
            sums[name] += value
    assert sums == pytest.approx(whole, rel=1e-5)


def test_a_batch_without_a_success_has_finite_losses() -> None:
    targets = dataclasses.replace(some_targets(), successes=torch.zeros(2, 3))
    losses = training_losses(some_prediction(), targets)
    assert losses.rotation == 0
    assert losses.width == 0
    assert torch.isfinite(losses.total)


def test_area_under_roc_counts_pairs() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.9])
    positive = np.array([False, True, False, False, True])
    pairs = [(p, n) for p in scores[positive] for n in scores[~positive]]
    expected = np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs])
    assert area_under_roc(scores, positive) == pytest.approx(expected)
    assert math.isnan(area_under_roc(scores, np.zeros(5, dtype=bool)))
