"""`giga benchmark generate`: labelled points per CPU second, and whether the fast trials end as the plain ones do."""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_sim.trial_comparison import ComparisonFigures

SUMMARY = "data generation against its plain reference: speed, agreement of outcomes, success rates"
EXAMPLES = """  ./giga benchmark generate --trials 2000 --json generate.json
  ./giga benchmark generate --objects 'FOLDER/{scene}/train' --hand HAND.urdf --table TABLE.urdf --trials 500
                             against plain trials with another hand of the same frames, on another table"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=2000, help="grasps that both try (default 2000, in whole scenes)")
    parser.add_argument("--points", type=int, default=48, help="points a scene, six grasps each (default 48)")
    parser.add_argument("--scene", default="pile,packed", help="kinds of scene, in turn (default pile,packed)")
    parser.add_argument(
        "--objects",
        default="parametric",
        help="'parametric', 'pybullet_data' or a folder of URDFs; {scene} stands for the kind",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="train",
        help="objects of this split (default train)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene (default 0)")
    parser.add_argument("--hand", type=Path, help="URDF of the hand of the plain trials (default: our own)")
    parser.add_argument("--table", type=Path, help="URDF of the table of the plain trials (default: our own)")
    parser.add_argument("--json", type=Path, help="write the results there")


def run(args: argparse.Namespace) -> int:
    from giga_perception.source_commit import source_commit
    from giga_sim.object_sets import ObjectSet, ObjectSetError
    from giga_sim.scenes import scene_kind
    from giga_sim.trial_comparison import ReferenceParts, compare_scenes, figures_of

    if min(args.trials, args.points) < 1:
        raise UserError("--trials and --points must be at least 1")
    for file in (args.hand, args.table):
        if file is not None and not file.is_file():
            raise UserError(f"{file} is no file; give the URDF, or leave the option out for our own")
    try:
        kinds = tuple(scene_kind(name.strip()) for name in args.scene.split(","))
        objects = {kind: ObjectSet.named(args.objects.replace("{scene}", kind)) for kind in kinds}
        if args.split != "all":
            objects = {kind: chosen.split(args.split) for kind, chosen in objects.items()}
    except (ObjectSetError, ValueError) as error:
        raise UserError(str(error)) from error
    scenes = []
    parts = ReferenceParts(args.hand, args.table)
    for scene in compare_scenes(kinds, objects, args.trials, args.seed, args.points, parts):
        scenes.append(scene)
        figures = figures_of(scenes)
        print(
            f"  {figures.trials} of {args.trials} trials: {figures.ratio:.1f} times as fast, "
            f"{figures.agreement_percent:.2f} % agree",
            flush=True,
        )
    rows = {kind: figures_of([scene for scene in scenes if scene.kind == kind]) for kind in kinds}
    rows["all"] = figures_of(scenes)
    print(f"\n{args.objects} ({args.split}), {args.points} points a scene, seeds from {args.seed}")
    for name, figures in rows.items():
        _print_row(name, figures)
    if args.json:
        report = {
            "object_set": "/".join(Path(args.objects).parts[-3:]),
            "split": args.split,
            "points_per_scene": args.points,
            "first_seed": args.seed,
            "hand": args.hand.name if args.hand else "our own",
            "table": args.table.name if args.table else "our own",
            "results": {name: {**asdict(figures), "ratio": figures.ratio} for name, figures in rows.items()},
            "commit": source_commit(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        }
        temporary = args.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(temporary, args.json)
        print(f"written to {args.json}")
    return 0


def _print_row(name: str, figures: ComparisonFigures) -> None:
    print(f"{name}: {figures.scenes} scenes, {figures.points} points, {figures.trials} trials")
    print(
        f"  points a CPU second: fast {figures.fast_points_a_cpu_s:.1f}, "
        f"plain {figures.reference_points_a_cpu_s:.1f}, {figures.ratio:.1f} times as many"
    )
    print(
        f"  outcomes that agree: {figures.agreement_percent:.2f} %; "
        f"{figures.agreement_where_any_lifts_percent:.1f} % of the {figures.lifted_by_any} in which either lifts"
    )
    rows = (
        ("fast", figures.fast_success_percent, figures.fast_success_interval),
        ("plain", figures.reference_success_percent, figures.reference_success_interval),
    )
    for label, percent, (low, high) in rows:
        print(f"  trials that lift, {label}: {percent:.1f} % ({low:.1f} to {high:.1f})")
    low, high = figures.difference_interval
    print(f"  fast less plain: {low:+.1f} to {high:+.1f} percentage points")
