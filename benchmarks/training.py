"""`giga benchmark training`: supervised grasps a second with many grasps an encoding, against the paper's one."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from giga_bringup.errors import UserError

SUMMARY = "supervised grasps a second: many grasps an encoding against one (needs a data set)"
EXAMPLES = """  ./giga generate --scenes 64 --output scenes && ./giga benchmark training --data scenes
  ./giga benchmark training --batch 32 --repeats 15 --threads 1 --json training.json"""


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
    from giga_perception.training_speed import measure_ways

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
    ways = measure_ways(scenes, recipe, lambda done: print(f"  step {done} of {args.repeats}", flush=True))
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
