"""Training the network: one encoding of a scene supervises all its labelled grasps and some thousand occupancy points.

A run is a folder: ``checkpoint.pt`` (to go on after any interruption), ``log.jsonl`` (one line a report), ``loss.png``.
The same scenes, recipe and thread count give the same weights, interrupted or not.
"""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from giga_perception import sparse_stem
from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.losses import training_losses
from giga_perception.network import Giga, GraspPrediction, sample_planes
from giga_perception.training_batches import BatchSettings, CompactScene, TrainingBatch, balancing_weights, make_batch
from giga_perception.validation import ValidationFigures, validate

logger = logging.getLogger(__name__)

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.jsonl"
CHECKPOINT_VERSION = 1


class TrainingError(Exception):
    """A run cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything but the scenes that decides the weights.

    steps: optimiser steps of `batch` scenes each. grasps: labelled points used of a scene, at most. schedule: "cosine"
    (linear warm-up, then a cosine to a hundredth of the rate) or "constant". average: decay of the moving average of
    the weights that is kept as the result, 0 for none. precision: of the U-Net, "float32" or "bfloat16".
    """

    steps: int
    batch: int = 16
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warm_up_steps: int = 100
    weight_decay: float = 0.0
    gradient_limit: float = 1.0
    grasps: int = 64
    occupancy_points: int = 1024
    augmentation: str = "mirror"
    average: float = 0.999
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.grasps < 1 or self.occupancy_points < 2:
            raise ValueError("steps, batch and grasps must be at least 1, occupancy_points at least 2")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule is {self.schedule!r}, should be 'cosine' or 'constant'")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision is {self.precision!r}, should be 'float32' or 'bfloat16'")
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(f"augmentation is {self.augmentation!r}, should be one of {sorted(AUGMENTATIONS)}")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warm_up_steps))
        if self.schedule == "constant":
            return self.learning_rate * warm
        floor = 0.01
        progress = min(1.0, step / self.steps)
        return self.learning_rate * warm * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress)))


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

    model: Giga
    figures: ValidationFigures | None
    steps: int
    seconds: float


def predict(model: Giga, batch: TrainingBatch, *, bfloat16: bool) -> GraspPrediction:
    """All heads on a batch: what `model(...)` gives, by the quicker encoder."""
    planes = sparse_stem.encode(model, batch.tsdf, bfloat16=bfloat16)
    features = sample_planes(planes, batch.grasp_points)
    return GraspPrediction(
        quality_logits=model.decoder_qual(batch.grasp_points, features).squeeze(-1),
        rotations=torch.nn.functional.normalize(model.decoder_rot(batch.grasp_points, features), dim=-1),
        widths=model.decoder_width(batch.grasp_points, features).squeeze(-1),
        occupancy_logits=model.occupancy_logits(planes, batch.occupancy_points),
    )


def train(
    scenes: TrainingScenes,
    recipe: TrainingRecipe,
    folder: Path,
    *,
    device: str = "cpu",
    initial: Giga | None = None,
    report: Callable[[Progress], None] | None = None,
    report_every: int = 50,
    validate_every: int = 500,
    checkpoint_every_s: float = 60.0,
    stop_after: int | None = None,
) -> TrainingResult:
    """Trains, or goes on with the run in `folder`.

    `initial`: a network whose weights to start from, in place of random ones; a run that goes on ignores it.
    `stop_after` ends after that many steps as an interruption would (the checkpoint is written). Raises TrainingError
    when the checkpoint is damaged or of another recipe or other scenes, or when the loss is no longer finite.
    """
    if not scenes.train:
        raise TrainingError("there is no scene to train on: run `giga generate` first, or name another data set")
    folder.mkdir(parents=True, exist_ok=True)
    positive_weight, negative_weight = balancing_weights(scenes.train)
    run = _Run(scenes.names, recipe, torch.device(device), initial)
    start = run.restore(folder / CHECKPOINT_FILE)
    if start:
        logger.info("going on after step %d of %d", start, recipe.steps)

    def check(model: Giga) -> ValidationFigures | None:
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


class _Run:
    """Network, optimiser and moving average of a run, and their way to disk and back."""

    def __init__(
        self, names: Sequence[str], recipe: TrainingRecipe, device: torch.device, initial: Giga | None = None
    ) -> None:
        self.seconds = 0.0
        """What the steps so far took, those before interruptions included."""
        self._names = list(names)
        self._recipe = recipe
        torch.manual_seed(recipe.seed)
        self._device = device
        self._model = Giga().to(device).train()
        if initial is not None:
            self._model.load_state_dict(initial.state_dict())
        self._average = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    def step(self, step: int, batch: TrainingBatch) -> dict[str, float]:
        """One optimiser step; returns the loss terms."""
        recipe = self._recipe
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        batch = batch.to(self._device)
        losses = training_losses(predict(self._model, batch, bfloat16=recipe.precision == "bfloat16"), batch.targets)
        values = losses.as_floats()
        if not math.isfinite(values["total"]):
            raise TrainingError(
                f"the loss is no longer finite at step {step + 1} ({values}): train with a lower --learning-rate"
            )
        self._optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), recipe.gradient_limit)
        self._optimizer.step()
        # Early on the average would be of random weights; it starts short and grows.
        decay = min(recipe.average, (1 + step) / (10 + step)) if recipe.average else 0.0
        with torch.no_grad():
            for name, value in self._model.state_dict().items():
                self._average[name].lerp_(value, 1.0 - decay)
        return values

    def averaged(self) -> Giga:
        """A network with the averaged weights, in evaluation mode."""
        model = Giga()
        model.load_state_dict(self._average)
        return model.to(self._device).eval()

    def store(self, path: Path, step: int) -> None:
        """Writes the checkpoint under a temporary name and renames it."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            torch.save(
                {
                    "version": CHECKPOINT_VERSION,
                    "step": step,
                    "seconds": self.seconds,
                    "recipe": asdict(self._recipe),
                    "scenes": self._names,
                    "model": self._model.state_dict(),
                    "average": self._average,
                    "optimizer": self._optimizer.state_dict(),
                },
                temporary,
            )
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def restore(self, path: Path) -> int:
        """Takes over the checkpoint if there is one; returns the number of steps done."""
        stored = read_checkpoint(path)
        if stored is None:
            return 0
        changed = [name for name, value in asdict(self._recipe).items() if stored["recipe"].get(name) != value]
        if self._recipe.schedule == "constant" and changed == ["steps"]:
            # Only a falling rate depends on where it ends, so such a run may be made longer or called finished.
            changed = []
        if changed:
            raise TrainingError(
                f"{path} belongs to a run with another recipe ({', '.join(changed)}); "
                "repeat its options to go on with it, or name another folder with --out"
            )
        if stored["scenes"] != self._names:
            raise TrainingError(
                f"{path} belongs to a run on {len(stored['scenes'])} scenes, not on these {len(self._names)}; "
                "put the data set back as it was, or name another folder with --out"
            )
        self._model.load_state_dict(stored["model"])
        self._average = {name: value.to(self._device) for name, value in stored["average"].items()}
        self._optimizer.load_state_dict(stored["optimizer"])
        self.seconds = float(stored["seconds"])
        return int(stored["step"])


def read_checkpoint(path: Path) -> Mapping[str, Any] | None:
    """A run's checkpoint, or None when there is none. Raises TrainingError when it is damaged."""
    if not path.exists():
        return None
    try:
        stored: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version = stored["version"]
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{path} is damaged or no checkpoint ({type(error).__name__}); delete it to start that run anew"
        ) from error
    if version != CHECKPOINT_VERSION:
        raise TrainingError(
            f"{path} has format version {version}, this program reads {CHECKPOINT_VERSION}; "
            "delete it to start that run anew"
        )
    return stored


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


def quickest_precision() -> str:
    """The precision to train in on this machine's CPU: bfloat16 where the processor computes in it, else float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
