"""Training the network: one encoding of a scene supervises all its labelled grasps and some thousand occupancy points.

A run is a folder: ``checkpoint.pt`` (to go on after any interruption), ``log.jsonl`` (one line a report), ``loss.png``.
The same scenes, recipe and thread count give the same weights on one machine's processor, interrupted or not (CUDA
adds up in no fixed order). Several processes give the same but for the order of their sums.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.model_family import GraspModel
from giga_perception.training_balance import label_balance
from giga_perception.training_batches import BatchSettings, CompactScene, TrainingBatch, make_batch
from giga_perception.training_checks import SimulatedValidation, TrainingChecks, TrainingResult
from giga_perception.training_processes import ALONE, TrainingProcesses
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError, TrainingRun
from giga_perception.validation import ValidationFigures

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
    """What is reported while training: means since the last report, and what was found when a check was due.

    learning_rate: of the last step. simulated: rates of simulated grasping in per cent, by name.
    """

    step: int
    steps: int
    losses: dict[str, float]
    learning_rate: float
    steps_per_s: float
    remaining_s: float
    figures: ValidationFigures | None
    simulated: Mapping[str, float] | None


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
    simulation: SimulatedValidation | None = None,
    checkpoint_every_s: float = 60.0,
    stop_after: int | None = None,
    processes: TrainingProcesses = ALONE,
) -> TrainingResult:
    """Trains, or goes on with the run in `folder`.

    `initial`: a network whose weights to start from, in place of random ones; heads that it lacks start at random, and
    a run that goes on ignores it. `stop_after` ends after that many steps as an interruption would (the checkpoint is
    written). `processes`: those that train it together, each calling this with the same arguments; only the first
    checks, reports and writes, and its result alone has figures. Raises TrainingError when the checkpoint is damaged or
    of another recipe or other scenes, when `initial` has no weights that the network could take over, when there are
    more processes than scenes in a batch, or when the loss is no longer finite.
    """
    if not scenes.train:
        raise TrainingError("there is no scene to train on: run `giga generate` first, or name another data set")
    if recipe.views != "side" and not any(scene.other_views for scene in scenes.train):
        raise TrainingError(
            f"no scene holds another view than the side view, so there are none to draw for views {recipe.views!r}: "
            "make some with `giga generate --random-views N` or --ring-views N, or train on the side view"
        )
    if processes.count > recipe.batch:
        raise TrainingError(
            f"{processes.count} processes cannot share batches of {recipe.batch} scenes: start fewer, or raise --batch"
        )
    folder.mkdir(parents=True, exist_ok=True)
    run = TrainingRun(scenes.names, recipe, torch.device(device), initial, processes)
    start = run.restore(folder / CHECKPOINT_FILE)
    if processes.agreed(start) != start:
        raise TrainingError(
            f"the processes do not see one and the same run in {folder}: put it on a disk that all share"
        )
    if start:
        logger.info("going on after step %d of %d", start, recipe.steps)
    checks = TrainingChecks(
        run,
        scenes.train,
        scenes.validation,
        recipe=recipe,
        validate_every=validate_every,
        simulation=simulation,
    )
    end = recipe.steps if stop_after is None else min(recipe.steps, stop_after)
    batches = _batches(scenes.train, recipe, processes, start, end)
    if not processes.leads:
        for step, batch in zip(range(start, end), batches, strict=True):
            run.step(step, batch)
        return TrainingResult(run.averaged(), None, end, run.seconds)

    sums: dict[str, float] = {}
    counted = 0
    done = start
    began = last_report = last_checkpoint = time.monotonic()
    earlier_s = run.seconds
    with (folder / LOG_FILE).open("a") as log:
        for step, batch in zip(range(start, end), batches, strict=True):
            for name, value in run.step(step, batch).items():
                sums[name] = sums.get(name, 0.0) + value
            counted += 1
            done = step + 1
            run.seconds = earlier_s + time.monotonic() - began
            figures, simulated = checks.due(done)
            now = time.monotonic()
            run.seconds = earlier_s + now - began
            if done % report_every == 0 or done == end or figures is not None or simulated is not None:
                seconds = max(now - last_report, 1e-9)
                progress = Progress(
                    step=done,
                    steps=recipe.steps,
                    losses={name: total / counted for name, total in sums.items()},
                    learning_rate=recipe.rate(step),
                    steps_per_s=counted / seconds,
                    remaining_s=(recipe.steps - done) * seconds / counted,
                    figures=figures,
                    simulated=simulated,
                )
                log.write(json.dumps(_log_line(progress)) + "\n")
                log.flush()
                if report is not None:
                    report(progress)
                sums, counted, last_report = {}, 0, now
            if now - last_checkpoint > checkpoint_every_s or done == end:
                run.store(folder / CHECKPOINT_FILE, done)
                last_checkpoint = now
    return checks.result(done)


def batch_settings(recipe: TrainingRecipe, scenes: Sequence[CompactScene]) -> BatchSettings:
    """How the recipe makes batches of these scenes, of which it balances the labels."""
    balance = label_balance(recipe.balance, scenes)
    return BatchSettings(
        grasps=recipe.grasps,
        occupancy_points=recipe.occupancy_points,
        symmetries=AUGMENTATIONS[recipe.augmentation],
        positive_weight=balance.positive_weight,
        negative_weight=balance.negative_weight,
        failure_share=balance.failure_share,
        views=recipe.views,
        views_a_sample=recipe.views_a_sample,
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
    scenes: Sequence[CompactScene], recipe: TrainingRecipe, processes: TrainingProcesses, start: int, end: int
) -> Iterator[TrainingBatch]:
    """Batches of the steps from `start` to `end`, made one ahead in a thread. Every epoch visits every scene once.

    Of each batch only this process's share: what happens to a scene depends on its use alone, not on who prepares it.
    """
    settings = batch_settings(recipe, scenes)

    def uses(step: int) -> range:
        return range(step * recipe.batch + processes.rank, (step + 1) * recipe.batch, processes.count)

    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = None
        for step in range(start, end + 1):
            following = pool.submit(_batch_of, scenes, recipe.seed, settings, uses(step)) if step < end else None
            if pending is not None:
                yield pending.result()
            pending = following


def _batch_of(scenes: Sequence[CompactScene], seed: int, settings: BatchSettings, uses: Sequence[int]) -> TrainingBatch:
    """One batch of the uses of scenes that bear these numbers, counted from the run's beginning."""
    chosen, rngs = [], []
    for use in uses:
        epoch, position = divmod(use, len(scenes))
        index = int(_order(seed, epoch, len(scenes))[position])
        chosen.append(scenes[index])
        rngs.append(np.random.default_rng([seed, epoch, index]))
    return make_batch(chosen, rngs, settings)


def _order(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _log_line(progress: Progress) -> dict[str, Any]:
    line: dict[str, Any] = {
        "step": progress.step,
        "steps_per_s": round(progress.steps_per_s, 3),
        "learning_rate": progress.learning_rate,
        **progress.losses,
    }
    if progress.figures is not None:
        line["validation"] = progress.figures.as_dict()
    if progress.simulated is not None:
        line["simulated"] = dict(progress.simulated)
    return line
