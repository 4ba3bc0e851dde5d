"""The training objective (paper, equations 9 to 11): grasp quality, orientation, width and occupancy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from giga_perception.network import GraspPrediction

# The authors' code weighs the width as 0.01 * MSE(40 w', 40 w) with w in cubes; in metres it would never be learnt.
WIDTH_WEIGHT = 0.01 * 40.0**2


@dataclass(frozen=True, eq=False)
class GraspTargets:
    """What B x N grasp centres and B x M points should have been predicted to be; shapes as in GraspPrediction.

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
    """The terms of the objective, scalars; `total` is what is minimised."""

    quality: Tensor
    rotation: Tensor
    width: Tensor
    occupancy: Tensor

    @property
    def total(self) -> Tensor:
        """L = L_A + L_G (equation 11)."""
        return self.quality + self.rotation + self.width + self.occupancy

    def as_floats(self) -> dict[str, float]:
        """Each term and the total by name."""
        names = ("quality", "rotation", "width", "occupancy", "total")
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


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


def training_losses(prediction: GraspPrediction, targets: GraspTargets) -> Losses:
    """All terms. Orientation and width are means over the successes, the others over what counts."""
    quality = functional.binary_cross_entropy_with_logits(
        prediction.quality_logits, targets.successes, weight=targets.weights, reduction="sum"
    ) / targets.weights.sum().clamp_min(1e-6)
    held = targets.successes * (targets.weights > 0)
    # A batch without a success teaches nothing of orientation and width.
    held_count = held.sum().clamp_min(1.0)
    rotation = (rotation_loss(prediction.rotations, targets.rotations) * held).sum() / held_count
    width = ((prediction.widths - targets.widths_cubes).square() * held).sum() / held_count * WIDTH_WEIGHT
    occupancy = functional.binary_cross_entropy_with_logits(prediction.occupancy_logits, targets.occupancy)
    return Losses(quality=quality, rotation=rotation, width=width, occupancy=occupancy)
