"""`giga benchmark training`: supervised grasps a second with many grasps an encoding, against the paper's one."""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.training_batches import CompactScene
    from giga_perception.training_recipe import TrainingRecipe

SUMMARY = "supervised grasps a second: many grasps an encoding against one (needs a data set)"
EXAMPLES = """  ./giga generate --scenes 64 --output scenes && ./giga benchmark training --data scenes
  ./giga benchmark training --batch 32 --repeats 15 --threads 1 --json training.json"""


@dataclass(frozen=True)
class Way:
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="data set (default: $GIGA_DATA/first)")
    parser.add_argument(
        "--scenes", type=int, default=200, help="scenes of it that batches are drawn from (default 200)"
    )
    parser.add_argument("--batch", type=int, default=32, help="scenes a step (default 32)")
    parser.add_argument("--repeats", type=int, default=11, help="steps behind each median (default 11)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the convolutions; auto = what `giga train` takes here (default auto)",
    )
    parser.add_argument("--json", type=Path, help="write the results there")


def run(args: argparse.Namespace) -> int:
    if min(args.scenes, args.batch, args.repeats, args.threads) < 1:
        raise UserError("--scenes, --batch, --repeats and --threads must be at least 1")
    import torch

    from giga_bringup.benchmark_result import write_result
    from giga_perception.dataset import DatasetError, default_dataset
    from giga_perception.training_recipe import TrainingRecipe, quickest_precision
    from giga_perception.training_scenes import load_scenes

    torch.set_num_threads(args.threads)
    folder = args.data or default_dataset()
    try:
        scenes = load_scenes([folder], limit=args.scenes).scenes.train
    except DatasetError as error:
        raise UserError(str(error)) from error
    precision = quickest_precision() if args.precision == "auto" else args.precision
    recipe = TrainingRecipe(steps=args.repeats, batch=args.batch, precision=precision)
    labels = sum(len(scene.successes) for scene in scenes) / len(scenes)
    print(f"{len(scenes)} scenes of {folder.name} with {labels:.1f} labelled points each, batches of {args.batch},")
    print(f"{precision}, {args.threads} threads, medians of {args.repeats} steps", flush=True)
    ways = _measure(scenes, recipe)
    one = ways[0]
    report = {
        "data": folder.name,
        "scenes": len(scenes),
        "labelled_points_per_scene": labels,
        "batch": args.batch,
        "threads": args.threads,
        "precision": precision,
        "repeats": args.repeats,
        "ways": {},
    }
    for way in ways:
        wall_ratio = way.grasps_a_wall_s / one.grasps_a_wall_s
        cpu_ratio = way.grasps_a_cpu_s / one.grasps_a_cpu_s
        print(f"{way.name}: {way.supervised_grasps:.0f} grasps and {way.occupancy_points} points a step")
        print(f"  step {way.wall_s:.2f} s, {way.cpu_s:.2f} CPU s; {way.points_a_wall_s:.0f} occupancy points a second")
        print(f"  supervised grasps a second: {way.grasps_a_wall_s:.1f}; a CPU second: {way.grasps_a_cpu_s:.1f}")
        print(f"  against one grasp an encoding: {wall_ratio:.1f} times (wall), {cpu_ratio:.1f} times (CPU)")
        report["ways"][way.name] = {
            **asdict(way),
            "grasps_a_wall_s": way.grasps_a_wall_s,
            "grasps_a_cpu_s": way.grasps_a_cpu_s,
            "occupancy_points_a_wall_s": way.points_a_wall_s,
            "ratio_wall": wall_ratio,
            "ratio_cpu": cpu_ratio,
        }
    if args.json:
        write_result(args.json, report)
        print(f"written to {args.json}")
    return 0


def _measure(scenes: tuple[CompactScene, ...], recipe: TrainingRecipe) -> list[Way]:
    """Whole training steps, batches made in the same thread; the ways take turns, each on the same scenes."""
    import numpy as np
    import torch

    from giga_perception.training import batch_settings
    from giga_perception.training_batches import make_batch
    from giga_perception.training_run import TrainingRun

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
        if step >= 0:
            print(f"  step {step + 1} of {recipe.steps}", flush=True)
    return [
        Way(
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
