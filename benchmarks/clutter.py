"""`giga benchmark clutter`: GSR and DR of a detector, tried with the free hand by protocol P1 or P2."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError
from giga_perception.detection_mode import LEVERS

if TYPE_CHECKING:
    from giga_sim.clutter_round import RoundResult
    from giga_sim.clutter_rounds_file import RoundsFile
    from giga_sim.clutter_settings import ClutterSettings

SUMMARY = "clear cluttered tables with the free hand: grasp success rate and declutter rate (protocols P1 and P2)"
EXAMPLES = """  ./giga benchmark clutter --scene pile --rounds 100 --seed 0 1000 2000 --json pile.json
                             again after a kill: goes on with the rounds that are missing
  ./giga benchmark clutter --protocol P2 --scene packed --label 'ours, P2' --json packed_p2.json
  ./giga benchmark clutter --mode careful --without refine --split val      what one lever brings
  ./giga benchmark clutter --mode plain --with levels_table
  ./giga benchmark clutter --views six --policy highest
  ./giga benchmark clutter --scene packed --objects FOLDER_OF_URDFS --split all --model FILE.safetensors
  ./giga benchmark clutter-table pile.json packed.json --plot clutter.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="model file (default: the shipped weights)")
    parser.add_argument("--label", help="what tables call it (default: the model's name and mode)")
    parser.add_argument(
        "--protocol",
        choices=("P1", "P2"),
        default="P1",
        help="P1: the paper's fixed side view and noise; P2: a random view an attempt, less noise, two refusals borne",
    )
    parser.add_argument(
        "--views",
        choices=("side", "six", "random"),
        help="how the table is looked at: P1 side or six (fused), P2 random or six (default: the first)",
    )
    parser.add_argument(
        "--policy",
        choices=("best", "highest", "random"),
        default="best",
        help="which of the grasps is tried: the best, the highest above 0.5 (SHAF), or any (default best)",
    )
    parser.add_argument(
        "--avoid-failures", action="store_true", help="pass over grasps like those that failed since the last success"
    )
    parser.add_argument("--scene", choices=("pile", "packed"), default="pile", help="kind of scene (default pile)")
    parser.add_argument("--objects", default="parametric", help="'parametric' or a folder of URDFs")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="objects of this split (default test)"
    )
    parser.add_argument("--count", type=int, default=5, help="objects a round (default 5)")
    parser.add_argument("--rounds", type=int, default=100, help="rounds from each seed (default 100)")
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[0], help="seed of the first round; several: mean and spread over them"
    )
    parser.add_argument("--threshold", type=float, default=0.5, help="least quality of a grasp (default 0.5)")
    parser.add_argument(
        "--out-threshold", type=float, default=0.5, help="TSDF value in front of a surface (default 0.5)"
    )
    parser.add_argument("--force", action="store_true", help="when nothing reaches the threshold, the best above 0.5")
    parser.add_argument("--resolution", type=int, default=40, help="grasp centres a side (default 40; 60 is GIGA (HR))")
    parser.add_argument(
        "--mode",
        choices=("auto", "plain", "fast", "careful"),
        default="auto",
        help="beyond the network's answer: nothing, a second look, or all that helps (auto = fast if there is a judge)",
    )
    parser.add_argument(
        "--averaging",
        choices=("none", "mirror", "turn"),
        help="average the network over images of the scene: its mirror image, or eight (default: the mode's)",
    )
    parser.add_argument(
        "--with",
        nargs="+",
        default=[],
        metavar="LEVER",
        dest="levers_on",
        help=f"switch on in the mode: {', '.join(LEVERS)}",
    )
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="LEVER", dest="levers_off", help="switch off in the mode"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--json", type=Path, help="write the results there; until then, the rounds beside it")


def run(args: argparse.Namespace) -> int:
    _check_numbers(args)
    from giga_bringup.benchmark_result import write_result
    from giga_perception.source_commit import source_commit
    from giga_perception.weights import ModelFileError, model_path
    from giga_sim.clutter_benchmark import objects_of
    from giga_sim.clutter_detector import detector_of, fingerprint_of, mode_of
    from giga_sim.clutter_result import default_label, result_document, result_lines
    from giga_sim.clutter_rounds_file import RoundsFile, RoundsFileError, rounds_path
    from giga_sim.clutter_settings import ClutterSettings
    from giga_sim.object_sets import ObjectSetError

    try:
        settings = ClutterSettings(
            model=model_path(args.model),
            kind=args.scene,
            object_set=args.objects,
            split=None if args.split == "all" else args.split,
            object_count=args.count,
            threshold=args.threshold,
            out_threshold=args.out_threshold,
            resolution=args.resolution,
            best_forced=args.force,
            mode=args.mode,
            averaging=args.averaging,
            levers_on=tuple(args.levers_on),
            levers_off=tuple(args.levers_off),
            protocol=args.protocol,
            views=args.views,
            policy=args.policy,
            avoids_failures=args.avoid_failures,
        )
        objects_of(settings)
        label = args.label or default_label(settings, detector_of(settings).model_name)
        fingerprint = fingerprint_of(settings)
    except (ModelFileError, ObjectSetError, ValueError) as error:
        raise UserError(str(error)) from error
    series_seeds = [range(first, first + args.rounds) for first in args.seed]
    # By the names of the options, since that is how a run with others is told what differs.
    told = ("protocol", "policy", "avoid_failures", "scene", "objects", "split", "count", "threshold", "out_threshold")
    fixed: dict[str, Any] = {name: getattr(args, name) for name in (*told, "force", "resolution", "averaging")}
    fixed |= {"with": args.levers_on, "without": args.levers_off}
    fixed |= {"views": settings.views_taken, "mode": mode_of(settings)}
    fixed |= {"content of the model file": fingerprint[:12], "commit": source_commit()}
    try:
        file = RoundsFile(rounds_path(args.json), fixed) if args.json else None
    except RoundsFileError as error:
        raise UserError(str(error)) from error
    with file or nullcontext():
        rounds = _run_missing(settings, series_seeds, args.workers, file)
        document = result_document(settings, label, fingerprint, [[rounds[s] for s in seeds] for seeds in series_seeds])
        print("\n" + "\n".join(result_lines(document)))
        if file is not None:
            try:
                write_result(args.json, document)
            except OSError as error:
                raise UserError(
                    f"the result cannot be written ({error}); its rounds are kept in {file.path}: make room, and the "
                    "same command writes it"
                ) from error
            file.remove()
            print(f"  written to {args.json}")
    return 0


def _check_numbers(args: argparse.Namespace) -> None:
    if min(args.rounds, args.count, args.workers) < 1:
        raise UserError("--rounds, --count and --workers must be at least 1")
    first_seeds = sorted(args.seed)
    if first_seeds[0] < 0:
        raise UserError("--seed must not be negative")
    for one, next_one in pairwise(first_seeds):
        if next_one - one < args.rounds:
            raise UserError(
                f"--seed {one} and {next_one} share rounds, of which each has {args.rounds}: "
                f"give seeds that lie at least {args.rounds} apart"
            )
    if args.json and not args.json.parent.is_dir():
        raise UserError(f"--json: the folder {args.json.parent} does not exist; make it first")


def _run_missing(
    settings: ClutterSettings, series_seeds: Sequence[range], workers: int, file: RoundsFile | None
) -> dict[int, RoundResult]:
    """All rounds by their seeds: those that the file holds already, and the others, which are run and kept there."""
    from giga_sim.clutter_benchmark import RunningEstimate, run_rounds

    wanted = [seed for seeds in series_seeds for seed in seeds]
    rounds = {result.seed: result for result in file.rounds if result.seed in wanted} if file is not None else {}
    missing = [seed for seed in wanted if seed not in rounds]
    if rounds:
        print(
            f"  going on after {len(rounds)} of {len(wanted)} rounds, kept in {file.path if file else ''}", flush=True
        )
    else:
        print(f"  {len(wanted)} rounds, {min(workers, len(wanted))} at a time", flush=True)
    estimate = RunningEstimate(len(wanted), len(rounds))
    try:
        for result in run_rounds(settings, missing, workers):
            rounds[result.seed] = result
            if file is not None:
                file.append(result)
            if line := estimate.line(list(rounds.values())):
                print(f"  {line}", flush=True)
    except KeyboardInterrupt:
        done = f"{len(rounds)} of {len(wanted)} rounds are over"
        remedy = "give --json FILE to be able to go on after an interruption"
        if file is not None:
            remedy = f"they are kept in {file.path}, and the same command goes on with the others"
        print(f"\n  {done}; {remedy}", file=sys.stderr)
        raise
    return rounds
