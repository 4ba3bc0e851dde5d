"""Training the network: one encoding of a scene supervises all its labelled grasps and some thousand occupancy points.

A run is a folder: ``checkpoint.pt`` (to go on after any interruption), ``log.jsonl`` (one line a report), ``loss.png``.
The same scenes, recipe and thread count give the same weights, interrupted or not.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.model_family import GraspModel
from giga_perception.training_batches import BatchSettings, CompactScene, TrainingBatch, balancing_weights, make_batch
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError, TrainingRun
from giga_perception.validation import ValidationFigures, validate

logger = logging.getLogger(__name__)

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.jsonl"


@dataclass(frozen=True)
class TrainingScenes:
    """The scenes of a run; names identify them in the checkpoint, so that a run goes on with what it began with."""

    names: tuple[str, ...]
    train: tuple[CompactScene, ...]
    validation: tuple[CompactScene, ...]


@dataclass(frozen=True)
class Progress:
    """What is reported while training: means since the last report, and figures when a validation was due."""

    step: int
    steps: int
    losses: dict[str, float]
    steps_per_s: float
    remaining_s: float
    figures: ValidationFigures | None


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The averaged network, its figures (None without validation scenes), and what all parts of the run took."""

    model: GraspModel
    figures: ValidationFigures | None
    steps: int
    seconds: float


def train(
    scenes: TrainingScenes,
    recipe: TrainingRecipe,
    folder: Path,
    *,
    device: str = "cpu",
    initial: GraspModel | None = None,
    report: Callable[[Progress], None] | None = None,
    report_every: int = 50,
    validate_every: int = 500,
    checkpoint_every_s: float = 60.0,
    stop_after: int | None = None,
) -> TrainingResult:
    """Trains, or goes on with the run in `folder`.

    `initial`: a network whose weights to start from, in place of random ones; heads that it lacks start at random, and
    a run that goes on ignores it. `stop_after` ends after that many steps as an interruption would (the checkpoint is
    written). Raises TrainingError when the checkpoint is damaged or of another recipe or other scenes, when `initial`
    has no weights that the network could take over, or when the loss is no longer finite.
    """
    if not scenes.train:
        raise TrainingError("there is no scene to train on: run `giga generate` first, or name another data set")
    folder.mkdir(parents=True, exist_ok=True)
    positive_weight, negative_weight = balancing_weights(scenes.train)
    run = TrainingRun(scenes.names, recipe, torch.device(device), initial)
    start = run.restore(folder / CHECKPOINT_FILE)
    if start:
        logger.info("going on after step %d of %d", start, recipe.steps)

    def check(model: GraspModel) -> ValidationFigures | None:
        if not scenes.validation:
            return None
        return validate(model, scenes.validation, positive_weight=positive_weight, negative_weight=negative_weight)

    settings = BatchSettings(
        grasps=recipe.grasps,
        occupancy_points=recipe.occupancy_points,
        symmetries=AUGMENTATIONS[recipe.augmentation],
        positive_weight=positive_weight,
        negative_weight=negative_weight,
    )
    end = recipe.steps if stop_after is None else min(recipe.steps, stop_after)
    sums: dict[str, float] = {}
    counted = 0
    done = start
    began = last_report = last_checkpoint = time.monotonic()
    earlier_s = run.seconds
    figures = None
    with (folder / LOG_FILE).open("a") as log:
        for step, batch in zip(range(start, end), _batches(scenes.train, recipe, settings, start, end), strict=True):
            for name, value in run.step(step, batch).items():
                sums[name] = sums.get(name, 0.0) + value
            counted += 1
            done = step + 1
            figures = check(run.averaged()) if done % validate_every == 0 or done == recipe.steps else None
            now = time.monotonic()
            if done % report_every == 0 or done == end or figures is not None:
                seconds = max(now - last_report, 1e-9)
                progress = Progress(
                    step=done,
                    steps=recipe.steps,
                    losses={name: total / counted for name, total in sums.items()},
                    steps_per_s=counted / seconds,
                    remaining_s=(recipe.steps - done) * seconds / counted,
                    figures=figures,
                )
                log.write(json.dumps(_log_line(progress)) + "\n")
                log.flush()
                if report is not None:
                    report(progress)
                sums, counted, last_report = {}, 0, now
            if now - last_checkpoint > checkpoint_every_s or done == end:
                run.seconds = earlier_s + now - began
                run.store(folder / CHECKPOINT_FILE, done)
                last_checkpoint = now
    model = run.averaged()
    return TrainingResult(
        model=model, figures=figures if figures is not None else check(model), steps=done, seconds=run.seconds
    )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; those that a killed run repeated after its checkpoint appear once, the later ones."""
    lines: dict[int, dict[str, Any]] = {}
    for text in (folder / LOG_FILE).read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            # A killed process may leave half a line at its end.
            continue
        lines[int(line["step"])] = line
    return [lines[step] for step in sorted(lines)]


def _batches(
    scenes: Sequence[CompactScene], recipe: TrainingRecipe, settings: BatchSettings, start: int, end: int
) -> Iterator[TrainingBatch]:
    """Batches of the steps from `start` to `end`, made one ahead in a thread. Every epoch visits every scene once."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = None
        for step in range(start, end + 1):
            following = pool.submit(_batch_of_step, scenes, recipe, settings, step) if step < end else None
            if pending is not None:
                yield pending.result()
            pending = following


def _batch_of_step(
    scenes: Sequence[CompactScene], recipe: TrainingRecipe, settings: BatchSettings, step: int
) -> TrainingBatch:
    chosen, rngs = [], []
    for use in range(step * recipe.batch, (step + 1) * recipe.batch):
        epoch, position = divmod(use, len(scenes))
        index = int(_order(recipe.seed, epoch, len(scenes))[position])
        chosen.append(scenes[index])
        rngs.append(np.random.default_rng([recipe.seed, epoch, index]))
    return make_batch(chosen, rngs, settings)


def _order(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _log_line(progress: Progress) -> dict[str, Any]:
    line: dict[str, Any] = {"step": progress.step, "steps_per_s": round(progress.steps_per_s, 3), **progress.losses}
    if progress.figures is not None:
        line["validation"] = progress.figures.as_dict()
    return line
