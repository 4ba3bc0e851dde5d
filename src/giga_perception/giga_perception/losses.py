"""The training objective (paper, equations 9 to 11): grasp quality, orientation, width and occupancy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from giga_perception.network import ScenePrediction

# The authors' code weighs the width as 0.01 * MSE(40 w', 40 w) with w in cubes; in metres it would never be learnt.
WIDTH_WEIGHT = 0.01 * 40.0**2


@dataclass(frozen=True, eq=False)
class GraspTargets:
    """What B x N grasp centres and B x M points should have been predicted to be; shapes as in ScenePrediction.

    successes: [B, N], 1 or 0. weights: [B, N], how much the quality of each counts, 0 for padding.
    rotations: [B, N, 4] and widths_cubes: [B, N], meaningful where successes is 1. occupancy: [B, M], 1 or 0.
    """

    successes: Tensor
    weights: Tensor
    rotations: Tensor
    widths_cubes: Tensor
    occupancy: Tensor


@dataclass(frozen=True, eq=False)
class Losses:
    """The terms of the objective, scalars; None for what the network has no head for. `total` is what is minimised."""

    quality: Tensor | None = None
    rotation: Tensor | None = None
    width: Tensor | None = None
    occupancy: Tensor | None = None

    @property
    def terms(self) -> dict[str, Tensor]:
        """The terms that there are, by name."""
        return {name: term for name, term in vars(self).items() if term is not None}

    @property
    def total(self) -> Tensor:
        """L = L_A + L_G (equation 11), or the one of the two that there is."""
        return torch.stack(list(self.terms.values())).sum()

    def as_floats(self) -> dict[str, float]:
        """Each term that there is and the total, by name."""
        named = {**self.terms, "total": self.total}
        values = torch.stack([term.detach().float() for term in named.values()]).tolist()
        return dict(zip(named, values, strict=True))


def turned_about_approach(rotations_xyzw: Tensor) -> Tensor:
    """The same grasps [..., 4] turned by 180 degrees about their own z: the parallel gripper's symmetry.

    The product q * (0, 0, 1, 0).
    """
    x, y, z, w = rotations_xyzw.unbind(-1)
    return torch.stack([y, -x, w, -z], dim=-1)


def rotation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """min over r and r turned by 180 degrees about z of 1 - |r' . r| (equation 10). [..., 4] each -> [...]."""
    straight = (predicted * target).sum(-1).abs()
    turned = (predicted * turned_about_approach(target)).sum(-1).abs()
    return 1.0 - torch.maximum(straight, turned)


def loss_counts(targets: GraspTargets) -> Tensor:
    """[3] what the terms of a batch are means over: summed weights, successes, occupancy points."""
    held = targets.successes * (targets.weights > 0)
    return torch.stack([targets.weights.sum(), held.sum(), targets.weights.new_tensor(targets.occupancy.numel())])


def training_losses(prediction: ScenePrediction, targets: GraspTargets, counts: Tensor | None = None) -> Losses:
    """The terms of all heads. Orientation and width are means over the successes, the others over what counts.

    (Of balanced labels half are successes, so orientation and width weigh twice what equation 9 averaged over all
    grasps would give them.) counts: `loss_counts` of a larger batch of which this is a part; the losses of its parts
    then add up to those of the whole. Default: this batch is the whole.
    """
    weight_sum, success_count, point_count = loss_counts(targets) if counts is None else counts
    occupancy = None
    if prediction.occupancy_logits is not None:
        occupancy = (
            functional.binary_cross_entropy_with_logits(prediction.occupancy_logits, targets.occupancy, reduction="sum")
            / point_count
        )
    grasps = prediction.grasps
    if grasps is None:
        return Losses(occupancy=occupancy)
    quality = functional.binary_cross_entropy_with_logits(
        grasps.quality_logits, targets.successes, weight=targets.weights, reduction="sum"
    ) / weight_sum.clamp_min(1e-6)
    held = targets.successes * (targets.weights > 0)
    # A batch without a success teaches nothing of orientation and width.
    held_count = success_count.clamp_min(1.0)
    rotation = (rotation_loss(grasps.rotations, targets.rotations) * held).sum() / held_count
    width = ((grasps.widths - targets.widths_cubes).square() * held).sum() / held_count * WIDTH_WEIGHT
    return Losses(quality=quality, rotation=rotation, width=width, occupancy=occupancy)
