"""How many labels training learns from in a second, by how many grasps one encoding of a scene supervises."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from giga_perception.training import batch_settings
from giga_perception.training_batches import CompactScene, make_batch
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingRun


@dataclass(frozen=True)
class SupervisionRate:
    """One way to use the labels of a batch of scenes, and what a training step of it takes (medians)."""

    name: str
    grasps_per_scene: int
    balance: str
    supervised_grasps: float
    occupancy_points: int
    wall_s: float
    cpu_s: float

    @property
    def grasps_a_wall_s(self) -> float:
        """Supervised grasps a second."""
        return self.supervised_grasps / self.wall_s

    @property
    def grasps_a_cpu_s(self) -> float:
        """Supervised grasps a CPU second."""
        return self.supervised_grasps / self.cpu_s

    @property
    def points_a_wall_s(self) -> float:
        """Supervised occupancy points a second."""
        return self.occupancy_points / self.wall_s


def measure_ways(
    scenes: Sequence[CompactScene], recipe: TrainingRecipe, report: Callable[[int], None] | None = None
) -> list[SupervisionRate]:
    """Times `recipe.steps` whole training steps of each way: one grasp an encoding first, then the recipe's, then all.

    Batches are made in the same thread; the ways take turns, each on the same scenes. report: is told of each step.
    """
    recipes = {
        # Weighed, so that no scene is without its one grasp because its failures were dropped.
        "one grasp an encoding": replace(recipe, grasps=1, balance="weigh"),
        "many grasps, failures dropped": recipe,
        "many grasps, failures weighed": replace(recipe, balance="weigh"),
    }
    settings = {name: batch_settings(of, scenes) for name, of in recipes.items()}
    runs = {name: TrainingRun((), of, torch.device("cpu")) for name, of in recipes.items()}
    wall_s: dict[str, list[float]] = {name: [] for name in recipes}
    cpu_s: dict[str, list[float]] = {name: [] for name in recipes}
    grasps: dict[str, list[int]] = {name: [] for name in recipes}
    for step in range(-1, recipe.steps):
        chosen = [scenes[index] for index in np.random.default_rng(step + 1).integers(len(scenes), size=recipe.batch)]
        for name, of in recipes.items():
            wall, cpu = time.perf_counter(), time.process_time()
            rngs = [np.random.default_rng([step + 1, use]) for use in range(of.batch)]
            batch = make_batch(chosen, rngs, settings[name])
            runs[name].step(max(step, 0), batch)
            if step < 0:  # the first step also makes what later ones reuse
                continue
            wall_s[name].append(time.perf_counter() - wall)
            cpu_s[name].append(time.process_time() - cpu)
            grasps[name].append(int((batch.targets.weights > 0).sum()))
        if step >= 0 and report is not None:
            report(step + 1)
    return [
        SupervisionRate(
            name=name,
            grasps_per_scene=of.grasps,
            balance=of.balance,
            supervised_grasps=statistics.mean(grasps[name]),
            occupancy_points=of.batch * of.occupancy_points,
            wall_s=statistics.median(wall_s[name]),
            cpu_s=statistics.median(cpu_s[name]),
        )
        for name, of in recipes.items()
    ]
