"""How well a network does on held-out scenes: figures a person can compare between runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from giga_perception.losses import rotation_loss, training_losses
from giga_perception.network import Giga
from giga_perception.training_batches import BatchSettings, CompactScene, make_batch
from giga_perception.workspace import WORKSPACE_SIZE_M

# Scenes are validated with noise, as they are met; always the same noise, so that figures of two runs compare.
_NOISE_SEED = 20_240_229
_BATCH = 8


@dataclass(frozen=True)
class ValidationFigures:
    """Means over all labelled points (quality), all successes (rotation, width), all sampled points (occupancy).

    balanced_bce: binary cross-entropy of the quality with both kinds weighing the same; 0.69 = knows nothing.
    balanced_accuracy: mean of the shares of successes above and of failures below 0.5. precision, recall: at 0.5, at
        the natural share of successes. auc: chance that a success is rated above a failure.
    rotation_error_deg: median angle to the label or its half turn. width_error_m: median. occupancy_iou: at 0.5, on
        points of which half lie around the objects. loss: the training objective.
    """

    scenes: int
    points: int
    successes: int
    loss: float
    balanced_bce: float
    balanced_accuracy: float
    precision: float
    recall: float
    auc: float
    rotation_error_deg: float
    width_error_m: float
    occupancy_bce: float
    occupancy_iou: float

    def as_dict(self) -> dict[str, float]:
        """By name, for logs and cards."""
        return asdict(self)


def area_under_roc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive's score is above a negative's (ties count half); NaN when one kind is missing."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    # Mann-Whitney: ranks of the positives, ties sharing their mean rank.
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(mean_rank[inverse][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


def validate(
    model: Giga, scenes: Sequence[CompactScene], *, positive_weight: float, negative_weight: float
) -> ValidationFigures:
    """Runs the network on every scene, all labelled points of each. Raises ValueError without a scene."""
    if not scenes:
        raise ValueError("validation needs at least one scene")
    grasps = max(1, max(len(scene.successes) for scene in scenes))
    settings = BatchSettings(
        grasps=grasps, occupancy_points=4096, positive_weight=positive_weight, negative_weight=negative_weight
    )
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    columns: dict[str, list[torch.Tensor]] = {
        name: [] for name in ("score", "success", "weight", "rotation", "width", "occupied", "occupancy", "loss")
    }
    with torch.no_grad():
        for start in range(0, len(scenes), _BATCH):
            some = scenes[start : start + _BATCH]
            rngs = [np.random.default_rng([_NOISE_SEED, start + i]) for i in range(len(some))]
            batch = make_batch(some, rngs, settings).to(device)
            prediction = model(batch.tsdf, batch.grasp_points, batch.occupancy_points)
            targets = batch.targets
            real = targets.weights > 0
            columns["score"].append(prediction.quality_logits[real])
            columns["success"].append(targets.successes[real])
            columns["weight"].append(targets.weights[real])
            held = targets.successes > 0
            columns["rotation"].append(rotation_loss(prediction.rotations, targets.rotations)[held])
            columns["width"].append((prediction.widths - targets.widths_cubes)[held].abs())
            columns["occupied"].append(prediction.occupancy_logits.flatten())
            columns["occupancy"].append(targets.occupancy.flatten())
            columns["loss"].append(training_losses(prediction, targets).total[None] * len(some))
    model.train(was_training)

    joined = {name: torch.cat(parts).cpu() for name, parts in columns.items()}
    success = joined["success"].bool()
    chosen = joined["score"] > 0
    hits = int((chosen & success).sum())
    positives, negatives = int(success.sum()), int((~success).sum())
    occupied = joined["occupied"] > 0
    occupancy = joined["occupancy"].bool()
    angle_rad = 2.0 * torch.acos((1.0 - joined["rotation"]).clamp(0.0, 1.0))
    return ValidationFigures(
        scenes=len(scenes),
        points=len(success),
        successes=positives,
        loss=float(joined["loss"].sum()) / len(scenes),
        balanced_bce=float(
            functional.binary_cross_entropy_with_logits(
                joined["score"], joined["success"], weight=joined["weight"], reduction="sum"
            )
            / joined["weight"].sum()
        ),
        balanced_accuracy=0.5 * (_share(hits, positives) + _share(int((~chosen & ~success).sum()), negatives)),
        precision=_share(hits, int(chosen.sum())),
        recall=_share(hits, positives),
        auc=area_under_roc(joined["score"].double().numpy(), success.numpy()),
        rotation_error_deg=float(torch.rad2deg(angle_rad).median()) if positives else float("nan"),
        width_error_m=float(joined["width"].median()) * WORKSPACE_SIZE_M if positives else float("nan"),
        occupancy_bce=float(functional.binary_cross_entropy_with_logits(joined["occupied"], joined["occupancy"])),
        occupancy_iou=_share(int((occupied & occupancy).sum()), int((occupied | occupancy).sum())),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
