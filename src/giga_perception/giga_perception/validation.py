"""How well a network does on held-out scenes: figures a person can compare between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from giga_perception.losses import rotation_loss, training_losses
from giga_perception.model_family import GraspModel
from giga_perception.scene_views import ViewChoice
from giga_perception.training_batches import BatchSettings, CompactScene, make_batch
from giga_perception.workspace import WORKSPACE_SIZE_M

# Scenes are validated with noise, as they are met; always the same noise, so that figures of two runs compare.
_NOISE_SEED = 20_240_229
_BATCH = 8


@dataclass(frozen=True)
class GraspFigures:
    """Means over all labelled points (quality) and over all successes (rotation, width).

    balanced_bce: binary cross-entropy of the quality with both kinds weighing the same; 0.69 = knows nothing.
    balanced_accuracy: mean of the shares of successes above and of failures below 0.5. precision, recall: at 0.5, at
        the natural share of successes. auc: chance that a success is rated above a failure.
    rotation_error_deg: median angle to the label or its half turn. width_error_m: median.
    """

    balanced_bce: float
    balanced_accuracy: float
    precision: float
    recall: float
    auc: float
    rotation_error_deg: float
    width_error_m: float


@dataclass(frozen=True)
class OccupancyFigures:
    """Over all sampled points, of which half lie around the objects; occupancy_iou is at 0.5."""

    occupancy_bce: float
    occupancy_iou: float


@dataclass(frozen=True)
class ValidationFigures:
    """What a network does on held-out scenes; None where it has no head for it. loss: the training objective."""

    scenes: int
    points: int
    successes: int
    loss: float
    grasps: GraspFigures | None
    occupancy: OccupancyFigures | None

    def as_dict(self) -> dict[str, float]:
        """All figures that there are, by name, for logs and cards."""
        parts = [asdict(part) for part in (self.grasps, self.occupancy) if part is not None]
        own = {name: getattr(self, name) for name in ("scenes", "points", "successes", "loss")}
        return {name: value for part in (own, *parts) for name, value in part.items()}


def area_under_roc(scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float:
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
    model: GraspModel,
    scenes: Sequence[CompactScene],
    *,
    positive_weight: float,
    negative_weight: float,
    views: ViewChoice = "side",
    views_a_sample: int = 6,
) -> ValidationFigures:
    """Runs the network on every scene, all labelled points of each. Raises ValueError without a scene.

    views, views_a_sample: what is seen of a scene, as in `BatchSettings`; always the same, as the noise is.
    """
    if not scenes:
        raise ValueError("validation needs at least one scene")
    grasps = max(1, max(len(scene.successes) for scene in scenes))
    settings = BatchSettings(
        grasps=grasps,
        occupancy_points=4096,
        positive_weight=positive_weight,
        negative_weight=negative_weight,
        views=views,
        views_a_sample=views_a_sample,
    )
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    columns: dict[str, list[torch.Tensor]] = {}

    def collect(**parts: torch.Tensor) -> None:
        for name, part in parts.items():
            columns.setdefault(name, []).append(part)

    with torch.no_grad():
        for start in range(0, len(scenes), _BATCH):
            some = scenes[start : start + _BATCH]
            rngs = [np.random.default_rng([_NOISE_SEED, start + i]) for i in range(len(some))]
            batch = make_batch(some, rngs, settings).to(device)
            targets = batch.targets
            prediction = model(batch.tsdf, batch.grasp_points, batch.occupancy_points)
            collect(loss=training_losses(prediction, targets).total[None] * len(some))
            real = targets.weights > 0
            collect(success=targets.successes[real])
            if prediction.grasps is not None:
                held = targets.successes > 0
                collect(
                    score=prediction.grasps.quality_logits[real],
                    weight=targets.weights[real],
                    rotation=rotation_loss(prediction.grasps.rotations, targets.rotations)[held],
                    width=(prediction.grasps.widths - targets.widths_cubes)[held].abs(),
                )
            if prediction.occupancy_logits is not None:
                collect(occupied=prediction.occupancy_logits.flatten(), occupancy=targets.occupancy.flatten())
    model.train(was_training)

    joined = {name: torch.cat(parts).cpu() for name, parts in columns.items()}
    return ValidationFigures(
        scenes=len(scenes),
        points=len(joined["success"]),
        successes=int(joined["success"].sum()),
        loss=float(joined["loss"].sum()) / len(scenes),
        grasps=_grasp_figures(joined) if "score" in joined else None,
        occupancy=_occupancy_figures(joined["occupied"], joined["occupancy"]) if "occupied" in joined else None,
    )


def _grasp_figures(joined: Mapping[str, torch.Tensor]) -> GraspFigures:
    """joined: score (logits), success and weight of all labelled points, rotation and width error of the successes."""
    success = joined["success"].bool()
    chosen = joined["score"] > 0
    hits = int((chosen & success).sum())
    positives, negatives = int(success.sum()), int((~success).sum())
    angle_rad = 2.0 * torch.acos((1.0 - joined["rotation"]).clamp(0.0, 1.0))
    weighted_bce = functional.binary_cross_entropy_with_logits(
        joined["score"], joined["success"], weight=joined["weight"], reduction="sum"
    )
    return GraspFigures(
        balanced_bce=float(weighted_bce / joined["weight"].sum()),
        balanced_accuracy=0.5 * (_share(hits, positives) + _share(int((~chosen & ~success).sum()), negatives)),
        precision=_share(hits, int(chosen.sum())),
        recall=_share(hits, positives),
        auc=area_under_roc(joined["score"].double().numpy(), success.numpy()),
        rotation_error_deg=float(torch.rad2deg(angle_rad).median()) if positives else float("nan"),
        width_error_m=float(joined["width"].median()) * WORKSPACE_SIZE_M if positives else float("nan"),
    )


def _occupancy_figures(logits: torch.Tensor, target: torch.Tensor) -> OccupancyFigures:
    occupied, occupancy = logits > 0, target.bool()
    return OccupancyFigures(
        occupancy_bce=float(functional.binary_cross_entropy_with_logits(logits, target)),
        occupancy_iou=_share(int((occupied & occupancy).sum()), int((occupied | occupancy).sum())),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
