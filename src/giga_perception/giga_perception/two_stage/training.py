"""Teaches the two-stage detector's classifier from a labelled data set.

Each step looks at one more scene, with fresh noise, and takes over what its labelled grasps look like; a batch is drawn
from the scenes of late, half successes and half failures. Only grasps that the first stage could propose are used.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation
from torch.nn import functional

from giga_perception.camera import DepthView
from giga_perception.dataset import read_scene
from giga_perception.depth_noise import add_depth_noise
from giga_perception.grasp import T_workspace_tcp_from_grasp_origin
from giga_perception.labelled_scene import LabelledScene
from giga_perception.two_stage.classifier import CandidateClassifier, hold_probability
from giga_perception.two_stage.hand_candidates import hand_fit
from giga_perception.two_stage.local_grid import CELLS, FEATURE_COUNT, GRID_CHANNELS, hand_features, local_grids
from giga_perception.two_stage.observed_cloud import observe
from giga_perception.validation import area_under_roc

BATCH = 64
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
LEAST_LEARNING_RATE = 0.02
AVERAGE_DECAY = 0.995
# Examples of each kind that a batch is drawn from, and those needed before the first step.
_REMEMBERED = 4096
_FIRST_BATCH_FROM = 16
_REPORT_STEPS = 100
_VALIDATION_SEED = 77
# The yaws that a failed label was tried at: from its stored rotation on, evenly over half a turn. (The sixth turns the
# first by 180 degrees: the same grasp.)
DISTINCT_YAWS = 5


@dataclass(frozen=True, eq=False)
class Examples:
    """N grasps as the classifier sees them: grids [N, C, S, S], features [N, F], successes [N]."""

    grids: NDArray[np.float32]
    features: NDArray[np.float32]
    successes: NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingProgress:
    """After so many steps of so many (None: as many as the time allows): mean loss since the last report."""

    step: int
    steps: int | None
    loss: float
    elapsed_s: float


@dataclass(frozen=True)
class ClassifierFigures:
    """On held-out scenes. auc: chance that a success is rated above a failure."""

    scenes: int
    examples: int
    auc: float
    balanced_accuracy: float


class TwoStageTrainingError(Exception):
    """Training cannot go on; the message says why and what to do."""


def scene_examples(scene: LabelledScene, rng: np.random.Generator) -> Examples:
    """The labelled grasps of a scene that fit around something seen, in its image with noise drawn from `rng`.

    A failure stands for each of its yaws, so all of them that fit are taken. Each hand is turned by half a turn or not.
    """
    view = DepthView(add_depth_noise(scene.depth_m, rng), scene.camera, scene.T_camera_workspace)
    cloud = observe([view])
    held = np.asarray(scene.successes, dtype=bool)
    label, yaw = np.nonzero(~held[:, None] | (np.arange(DISTINCT_YAWS) == 0))
    angle_rad = np.pi * (yaw / DISTINCT_YAWS + rng.integers(2, size=len(yaw)))
    turned = Rotation.from_quat(scene.rotations_xyzw[label].reshape(-1, 4)) * Rotation.from_rotvec(
        angle_rad[:, None] * np.array([0.0, 0.0, 1.0])
    )
    poses = T_workspace_tcp_from_grasp_origin(
        RigidTransform.from_components(scene.centres_m[label].reshape(-1, 3), turned)
    )
    kept = np.flatnonzero(hand_fit(cloud, poses).holding)
    poses = poses[kept]
    return Examples(local_grids(cloud, poses), hand_features(poses), held[label[kept]])


def train_classifier(
    scenes: Sequence[Path],
    *,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    report: Callable[[TrainingProgress], None] | None = None,
) -> CandidateClassifier:
    """A classifier taught on these scene files by cross entropy: by AdamW with a falling rate, the weights averaged.

    Ends after `steps`, or after `seconds`, whichever comes first; with steps alone, the same arguments give the same
    weights. Raises TwoStageTrainingError when the scenes show too few examples, ValueError without an end,
    DatasetError for a damaged scene.
    """
    if steps is None and seconds is None:
        raise ValueError("say after how many steps or seconds training ends")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    classifier = CandidateClassifier().train()
    average = copy.deepcopy(classifier).eval()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    remembered = {success: _Memory() for success in (True, False)}
    started = time.monotonic()
    order: list[int] = []
    step = visited = 0
    losses: list[float] = []
    while True:
        share = max(step / steps if steps else 0.0, (time.monotonic() - started) / seconds if seconds else 0.0)
        if share >= 1.0:
            break
        if visited >= 2 * len(scenes) and step == 0:
            raise TwoStageTrainingError(
                f"{len(scenes)} scenes show fewer than {_FIRST_BATCH_FROM} successes or failures that a hand fits "
                "around: name a larger data set"
            )
        order = order or rng.permutation(len(scenes)).tolist()
        examples = scene_examples(read_scene(scenes[order.pop()]), rng)
        visited += 1
        for success, memory in remembered.items():
            memory.add(examples, np.flatnonzero(examples.successes == success))
        if min(len(memory) for memory in remembered.values()) < _FIRST_BATCH_FROM:
            continue
        for group in optimizer.param_groups:
            falling = 0.5 * (1.0 + np.cos(np.pi * share))
            group["lr"] = LEARNING_RATE * (LEAST_LEARNING_RATE + (1.0 - LEAST_LEARNING_RATE) * falling)
        parts = [memory.draw(BATCH // 2, rng) for memory in remembered.values()]
        grids, features = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
        labels = torch.tensor([float(success) for success in remembered]).repeat_interleave(BATCH // 2)
        loss = functional.binary_cross_entropy_with_logits(classifier(grids, features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        _follow(average, classifier, min(AVERAGE_DECAY, step / (step + 10.0)))
        losses.append(float(loss.detach()))
        if report is not None and (step % _REPORT_STEPS == 0 or step == steps):
            report(TrainingProgress(step, steps, float(np.mean(losses)), time.monotonic() - started))
            losses.clear()
    return average


def validate_classifier(classifier: CandidateClassifier, scenes: Sequence[Path]) -> ClassifierFigures:
    """How it does on the labelled grasps of these scene files, always with the same noise."""
    found = [
        scene_examples(read_scene(path), np.random.default_rng([_VALIDATION_SEED, index]))
        for index, path in enumerate(scenes)
    ]
    successes = np.concatenate([examples.successes for examples in found] or [np.zeros(0, dtype=bool)])
    scores = np.concatenate(
        [
            hold_probability(classifier, examples.grids, examples.features)
            for examples in found
            if len(examples.successes)
        ]
        or [np.zeros(0, dtype=np.float32)]
    )
    both = 0 < successes.sum() < len(successes)
    accuracy = 0.5 * ((scores[successes] > 0.5).mean() + (scores[~successes] <= 0.5).mean()) if both else float("nan")
    return ClassifierFigures(
        scenes=len(scenes),
        examples=len(successes),
        auc=area_under_roc(scores.astype(np.float64), successes),
        balanced_accuracy=float(accuracy),
    )


class _Memory:
    """The latest examples of one kind, in half precision."""

    def __init__(self) -> None:
        self._grids = np.zeros((_REMEMBERED, GRID_CHANNELS, CELLS, CELLS), dtype=np.float16)
        self._features = np.zeros((_REMEMBERED, FEATURE_COUNT), dtype=np.float32)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, _REMEMBERED)

    def add(self, examples: Examples, chosen: NDArray[np.intp]) -> None:
        """Take over these of the examples in place of the oldest."""
        places = (self._added + np.arange(len(chosen))) % _REMEMBERED
        self._grids[places] = examples.grids[chosen]
        self._features[places] = examples.features[chosen]
        self._added += len(chosen)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Grids and features of so many of them, with replacement."""
        chosen = rng.integers(len(self), size=count)
        return self._grids[chosen].astype(np.float32), self._features[chosen]


@torch.no_grad()
def _follow(average: CandidateClassifier, classifier: CandidateClassifier, decay: float) -> None:
    """Move the averaged weights towards the present ones."""
    for kept, present in zip(average.parameters(), classifier.parameters(), strict=True):
        kept.lerp_(present, 1.0 - decay)
