"""Teaches a grasp judge from simulated trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from giga_perception.grasp_judge import GraspJudge, JudgeInput, success_probability
from giga_perception.validation import area_under_roc

EPOCHS = 40
BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.03
HELD_BACK = 0.15


@dataclass(frozen=True)
class JudgeFigures:
    """How a judge does on scenes held back: areas under the ROC curve of the network's quality and of the judge, and
    the share of scenes in which each one's first choice held."""

    trials: int
    success_share: float
    quality_auc: float
    judge_auc: float
    quality_first_choice: float
    judge_first_choice: float


def train_judge(
    seen: JudgeInput, successes: NDArray[np.bool_], scenes: NDArray[np.int64], seed: int = 0
) -> tuple[GraspJudge, JudgeFigures]:
    """A judge of these trials, by cross entropy, and its figures on a share of the scenes that it did not see.

    scenes: [N] which scene a trial belongs to; whole scenes are held back. The epoch that does best on them is kept.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    names = np.unique(scenes)
    held_names = rng.permutation(names)[: max(1, round(HELD_BACK * len(names)))]
    held = np.isin(scenes, held_names)
    taught = np.flatnonzero(~held)
    judge = GraspJudge()
    judge.get_buffer("feature_mean").copy_(torch.from_numpy(seen.features[taught].mean(axis=0)))
    judge.get_buffer("feature_scale").copy_(torch.from_numpy(seen.features[taught].std(axis=0) + 1e-3))
    patches, features = torch.from_numpy(seen.patches), torch.from_numpy(seen.features)
    labels = torch.from_numpy(successes.astype(np.float32))
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * -(-len(taught) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    held_input = JudgeInput(seen.patches[held], seen.features[held])
    best_loss, best_state = float("inf"), {name: value.clone() for name, value in judge.state_dict().items()}
    for _ in range(EPOCHS):
        judge.train()
        for batch in np.array_split(rng.permutation(taught), -(-len(taught) // BATCH)):
            loss = functional.binary_cross_entropy_with_logits(judge(patches[batch], features[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        judge.eval()
        probability = np.clip(success_probability(judge, held_input), 1e-6, 1.0 - 1e-6)
        held_loss = -float(np.mean(np.where(successes[held], np.log(probability), np.log(1.0 - probability))))
        if held_loss < best_loss:
            best_loss, best_state = held_loss, {name: value.clone() for name, value in judge.state_dict().items()}
    judge.load_state_dict(best_state)
    probability = success_probability(judge, held_input)
    quality = seen.features[held][:, 0]
    figures = JudgeFigures(
        trials=len(successes),
        success_share=float(successes.mean()),
        quality_auc=area_under_roc(quality, successes[held]),
        judge_auc=area_under_roc(probability, successes[held]),
        quality_first_choice=_first_choice(quality, successes[held], scenes[held]),
        judge_first_choice=_first_choice(probability, successes[held], scenes[held]),
    )
    return judge, figures


def _first_choice(scores: NDArray[np.float32], successes: NDArray[np.bool_], scenes: NDArray[np.int64]) -> float:
    held = [
        successes[of_scene][np.argmax(scores[of_scene])]
        for scene in np.unique(scenes)
        for of_scene in [np.flatnonzero(scenes == scene)]
    ]
    return float(np.mean(held))
