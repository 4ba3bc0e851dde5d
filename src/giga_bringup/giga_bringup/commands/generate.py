"""`giga generate`: labelled scenes from grasp trials in simulation."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_sim.dataset_generation import SceneResult

SUMMARY = "make training data: scenes, grasps tried by a free hand, occupancy (resumable)"
EXAMPLES = """  ./giga generate --scenes 200                          200 scenes of the parametric objects
  ./giga generate --scenes 4000 --workers 2 --minutes 60  as many of 4000 as fit in an hour; run it again to go on
  ./giga generate --objects parametric --objects 'objects/{scene}/train'
                                                        the sets take turns; {scene} is pile or packed
  ./giga generate --objects parametric --objects pybullet_data
  ./giga generate --random-views 4 --ring-views 6       ten clean images a scene besides the side view
  ./giga generate --distributed 10.0.0.5:6379 --scenes 20000
                                                        on a Ray cluster; the scenes are written here"""

PROGRESS_PERIOD_S = 5.0
MOST_VIEWS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenes", type=int, default=1000, help="scenes in the whole data set (default 1000)")
    parser.add_argument("--scene", default="pile,packed", help="kinds that take turns (default pile,packed)")
    parser.add_argument(
        "--objects",
        action="append",
        help="'parametric', 'pybullet_data' or a folder of URDFs; may be repeated (default parametric)",
    )
    parser.add_argument(
        "--random-views", type=int, default=0, metavar="N", help="also store N views from random places (default 0)"
    )
    parser.add_argument(
        "--ring-views", type=int, default=0, metavar="N", help="also store N views from evenly around (default 0)"
    )
    parser.add_argument("--points", type=int, default=48, help="labelled points a scene (default 48)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first scene; scene i takes seed + i (default 0)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--minutes", type=float, help="stop after this long; what is made stays")
    parser.add_argument(
        "--distributed",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="work on a Ray cluster: HOST:PORT, auto (one that runs here), or local (start one of --workers processes)",
    )
    parser.add_argument(
        "--reference", action="store_true", help="try grasps the plain way: a hand loaded and removed each time (slow)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a folder that holds a data set (must exist)")
    parser.add_argument("--output", type=Path, help="folder (default $GIGA_DATA/first); one that exists is continued")


def run(args: argparse.Namespace) -> int:
    from giga_perception.dataset import DatasetError, default_dataset, holds_dataset, read_dataset_header
    from giga_sim.dataset_generation import GenerationPlan, check_plan, generate_dataset, other_settings
    from giga_sim.label_generation import GenerationSettings
    from giga_sim.object_sets import ObjectSetError
    from giga_sim.ray_generation import ClusterError
    from giga_sim.scenes import scene_kind

    if min(args.scenes, args.points, args.workers) < 1:
        raise UserError("--scenes, --points and --workers must be at least 1")
    if not all(0 <= count <= MOST_VIEWS for count in (args.random_views, args.ring_views)):
        raise UserError(f"--random-views and --ring-views must be from 0 to {MOST_VIEWS}")
    folder = args.output or default_dataset()
    try:
        if args.resume:
            read_dataset_header(folder)
        plan = GenerationPlan(
            folder=folder,
            scene_count=args.scenes,
            kinds=tuple(scene_kind(name.strip()) for name in args.scene.split(",")),
            object_sets=tuple(args.objects or ["parametric"]),
            first_seed=args.seed,
            settings=GenerationSettings(
                points_per_scene=args.points,
                reference=args.reference,
                random_views=args.random_views,
                ring_views=args.ring_views,
            ),
        )
        check_plan(plan)
        if holds_dataset(folder) and (changes := other_settings(plan)):
            print(f"{folder} began with other settings ({changes}); its scenes stay as they are.", flush=True)
        progress = _Progress()
        where = f"{args.workers} processes" if args.distributed is None else f"Ray cluster {args.distributed}"
        print(f"Generating into {folder} ({where}); Ctrl-C stops, the same command goes on.", flush=True)
        # A plain kill ends it as Ctrl-C does; otherwise the workers would finish their scenes without it, and complain.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        time_limit_s = None if args.minutes is None else args.minutes * 60.0
        made = generate_dataset(
            plan, workers=args.workers, time_limit_s=time_limit_s, report=progress, cluster=args.distributed
        )
    except (ObjectSetError, DatasetError, ClusterError, ValueError) as error:
        raise UserError(str(error)) from error
    print(f"{made} scenes made; {progress.summary()}")
    return 0


class _Progress:
    """Counts results and says how far it is, every few seconds."""

    def __init__(self) -> None:
        self.started = self.shown = time.monotonic()
        self.scenes = self.points = self.positives = 0
        self.cpu_s = 0.0

    def __call__(self, result: SceneResult, remaining: int) -> None:
        self.scenes += 1
        self.points += result.points
        self.positives += result.positives
        self.cpu_s += result.cpu_s
        now = time.monotonic()
        if now - self.shown < PROGRESS_PERIOD_S and remaining:
            return
        self.shown = now
        rate = self.scenes / (now - self.started)
        print(
            f"  {self.summary()}; {rate:.2f} scenes/s, {remaining} to go, {remaining / rate / 60.0:.0f} min", flush=True
        )

    def summary(self) -> str:
        points = max(self.points, 1)
        return (
            f"{self.scenes} scenes, {self.points} labelled points, {100.0 * self.positives / points:.1f} % positive, "
            f"{self.cpu_s / points:.3f} CPU s a point"
        )
