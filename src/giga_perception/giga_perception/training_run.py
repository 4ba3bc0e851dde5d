"""The state of a training run: network, optimiser, moving average; one step of it, and its way to disk and back."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from giga_perception import sparse_stem
from giga_perception.losses import loss_counts, training_losses
from giga_perception.model_family import GraspModel, new_network
from giga_perception.model_kinds import GIGA, MODEL_KINDS
from giga_perception.network import Giga, ScenePrediction
from giga_perception.training_batches import TrainingBatch
from giga_perception.training_processes import ALONE, TrainingProcesses
from giga_perception.training_recipe import TrainingRecipe

CHECKPOINT_VERSION = 1

# What programs did that did not know these settings yet, and so did not write them down.
_EARLIER_RECIPE = {"model": GIGA.name, "balance": "weigh", "views": "side", "views_a_sample": 6}


class TrainingError(Exception):
    """A run cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class SimulatedRecord:
    """The last simulated rates of a run, after which step, and the highest mean of such rates so far."""

    step: int
    rates: dict[str, float]
    best_mean: float


def predict(model: GraspModel, batch: TrainingBatch, *, bfloat16: bool) -> ScenePrediction:
    """All heads on a batch: what `model(...)` gives, for GIGA by the quicker encoder.

    With `bfloat16` the convolutions compute in that precision; weights, planes and predictions stay float32.
    """
    if isinstance(model, Giga):
        planes = sparse_stem.encode(model, batch.tsdf, bfloat16=bfloat16)
        return model.predict(planes, batch.grasp_points, batch.occupancy_points)
    with torch.autocast(batch.tsdf.device.type, torch.bfloat16, enabled=bfloat16):
        volumes = model.volumes(batch.tsdf)
    return model.predict(volumes, batch.grasp_points)


class TrainingRun:
    """Network, optimiser and moving average of a run, and their way to disk and back."""

    def __init__(
        self,
        names: Sequence[str],
        recipe: TrainingRecipe,
        device: torch.device,
        initial: GraspModel | None = None,
        processes: TrainingProcesses = ALONE,
    ) -> None:
        """A run from its first step; `restore` takes over what an earlier process left.

        initial: a network whose weights to start from, those that both networks have. processes: who trains it
        together, each with its part of every batch. Raises TrainingError when there are no such weights.
        """
        self.seconds = 0.0
        """What the steps so far took, those before interruptions included."""
        self.simulated: SimulatedRecord | None = None
        """What the last validation by simulated grasping found, those before interruptions included."""
        self._processes = processes
        self._names = list(names)
        self._recipe = recipe
        torch.manual_seed(recipe.seed)
        self._device = device
        self._model = new_network(recipe.model).to(device).train()
        if initial is not None:
            _take_over(self._model, initial)
        processes.make_equal(self._model.state_dict().values())
        self._average = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    def step(self, step: int, batch: TrainingBatch) -> dict[str, float]:
        """One optimiser step; returns the loss terms. `batch`: this process's part of it."""
        recipe = self._recipe
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        batch = batch.to(self._device)
        counts = loss_counts(batch.targets)
        self._processes.add_up([counts])
        prediction = predict(self._model, batch, bfloat16=recipe.precision == "bfloat16")
        losses = training_losses(prediction, batch.targets, counts)
        self._optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        gradients = [parameter.grad for parameter in self._model.parameters() if parameter.grad is not None]
        # Every part was divided by what the whole batch holds, so the sums are the whole's own losses and gradients.
        self._processes.add_up([*losses.terms.values(), *gradients])
        values = losses.as_floats()
        if not math.isfinite(values["total"]):
            raise TrainingError(
                f"the loss is no longer finite at step {step + 1} ({values}): train with a lower --learning-rate"
            )
        if recipe.gradient_limit:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), recipe.gradient_limit)
        self._optimizer.step()
        # Early on the average would be of random weights; it starts short and grows.
        decay = min(recipe.average, (1 + step) / (10 + step)) if recipe.average else 0.0
        with torch.no_grad():
            for name, value in self._model.state_dict().items():
                self._average[name].lerp_(value, 1.0 - decay)
        return values

    def averaged(self) -> GraspModel:
        """A network with the averaged weights, in evaluation mode."""
        model = new_network(self._recipe.model)
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
                    "simulated": asdict(self.simulated) if self.simulated is not None else None,
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
        began_with = {**_EARLIER_RECIPE, **stored["recipe"]}
        changed = [name for name, value in asdict(self._recipe).items() if began_with.get(name) != value]
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
        simulated = stored.get("simulated")
        self.simulated = SimulatedRecord(**simulated) if simulated is not None else None
        return int(stored["step"])


def _take_over(model: GraspModel, initial: GraspModel) -> None:
    """Copies every tensor that both networks have; GIGA-Detach may so begin with GIGA-Aff, as in the paper."""
    own = model.state_dict()
    common = {name: tensor for name, tensor in initial.state_dict().items() if name in own}
    if not common:
        raise TrainingError(
            f"a {MODEL_KINDS[model.kind].title} network has no weights in common with the "
            f"{MODEL_KINDS[initial.kind].title} network to begin with: name another with --init, or train another "
            "with --model"
        )
    model.load_state_dict(common, strict=False)


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
