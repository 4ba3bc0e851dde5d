"""`giga benchmark levers`: what one lever brings, round by round, over the same mode without it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.detection_mode import DetectionMode
    from giga_sim.clutter_benchmark import RoundResult

SUMMARY = "clear the same cluttered tables with and without one lever (protocol P1): the difference, with its interval"
EXAMPLES = """  ./giga benchmark clutter --scene pile --mode fast --split val --seed 5000 --json without.json
  ./giga benchmark levers --lever imagined-trials --scene pile --mode fast --against without.json --json with.json"""

LEVERS = ("none", "centre-ascent", "smoothed-ascent", "several-rotations", "imagined-trials")
DRAWS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lever", choices=LEVERS, default="none", help="what is done beyond the mode (default none)")
    parser.add_argument("--steps", type=int, default=6, help="steps of the ascent (default 6)")
    parser.add_argument("--tries", type=int, default=6, help="grasps imagined at most (default 6)")
    parser.add_argument("--scene", choices=("pile", "packed"), default="pile", help="kind of scene (default pile)")
    parser.add_argument("--mode", choices=("plain", "fast", "careful"), default="plain", help="base (default plain)")
    parser.add_argument("--split", choices=("train", "val"), default="val", help="parametric objects (default val)")
    parser.add_argument("--rounds", type=int, default=80, help="rounds (default 80)")
    parser.add_argument("--seed", type=int, default=5000, help="seed of the first round (default 5000)")
    parser.add_argument("--threshold", type=float, default=0.3, help="least quality of a grasp (default 0.3)")
    parser.add_argument(
        "--against", type=Path, help="results without the lever, of this or `giga benchmark clutter`, same seeds"
    )
    parser.add_argument("--json", type=Path, help="write the results there")


def run(args: argparse.Namespace) -> int:
    import json

    import numpy as np

    from giga_bringup.benchmark_result import write_result
    from giga_sim.clutter_benchmark import rates_of

    if min(args.rounds, args.steps, args.tries) < 1:
        raise UserError("--rounds, --steps and --tries must be at least 1")
    without: dict[int, dict[str, object]] = {}
    if args.against:
        recorded = json.loads(args.against.read_text())
        for key in ("scene", "split", "threshold", "mode"):
            if recorded[key] != getattr(args, key):
                raise UserError(f"{args.against} was measured with {key} {recorded[key]}: compare like with like")
        without = {one["seed"]: one for one in recorded["rounds"]}
    rounds = _rounds(args)
    rates = rates_of(rounds)
    detection_ms = float(np.median([ms for one in rounds for ms in one.detection_ms] or [0.0]))
    print(f"\nP1, {args.scene}, mode {args.mode}, lever {args.lever}, {args.rounds} rounds from seed {args.seed}")
    print(f"  GSR {rates.gsr:.1f} %, DR {rates.dr:.1f} %, median detection {detection_ms:.0f} ms")
    report = {
        "protocol": "P1",
        **{key: getattr(args, key) for key in ("scene", "split", "threshold", "mode", "lever", "steps", "tries")},
        "seeds": [args.seed, args.seed + args.rounds - 1],
        "gsr_percent": rates.gsr,
        "dr_percent": rates.dr,
        "objects": sum(one.objects for one in rounds),
        "attempts": sum(one.attempts for one in rounds),
        "successes": sum(one.successes for one in rounds),
        "median_detection_ms": detection_ms,
        "rounds": [vars(one) for one in rounds],
    }
    if without:
        report["difference"] = difference = _difference(rounds, without)
        for rate, (mean, low, high) in difference.items():
            print(f"  {rate} {mean:+.1f} points ({low:+.1f} to {high:+.1f})")
    if args.json:
        write_result(args.json, report)
        print(f"  written to {args.json}")
    return 0


def _rounds(args: argparse.Namespace) -> list[RoundResult]:
    import torch

    from giga_perception import GraspDetector
    from giga_perception.detection_mode import MODES
    from giga_sim.clutter_benchmark import ClutterSettings, clear_one_table, rates_of
    from giga_sim.imagined_trials import ImaginedTrials
    from giga_sim.object_sets import ObjectSet
    from giga_sim.physics_world import PhysicsWorld

    torch.set_num_threads(1)
    mode = _with_lever(MODES[args.mode], args)
    detector = GraspDetector.from_file(threshold=args.threshold, mode=mode, imagine=ImaginedTrials)
    settings = ClutterSettings(None, args.scene, "parametric", args.split, 5, args.threshold, 0.5, 40, False)
    objects, world = ObjectSet.named("parametric").split(args.split), PhysicsWorld()
    rounds: list[RoundResult] = []
    for seed in range(args.seed, args.seed + args.rounds):
        rounds.append(clear_one_table(world, detector, objects, settings, seed))
        if len(rounds) % 5 == 0:
            rates = rates_of(rounds)
            print(f"  {len(rounds)}/{args.rounds} rounds: GSR {rates.gsr:.1f} %, DR {rates.dr:.1f} %", flush=True)
    return rounds


def _with_lever(mode: DetectionMode, args: argparse.Namespace) -> DetectionMode:
    from dataclasses import replace

    if args.lever in ("centre-ascent", "smoothed-ascent"):
        return replace(mode, ascent_steps=args.steps, smoothed_ascent=args.lever == "smoothed-ascent")
    if args.lever == "several-rotations":
        if not mode.second_look:
            raise UserError("several rotations need a judge to choose among them: --mode fast")
        return replace(mode, several_rotations=True)
    if args.lever == "imagined-trials":
        return replace(mode, imagined_tries=args.tries)
    return mode


def _difference(
    rounds: list[RoundResult], without: dict[int, dict[str, object]]
) -> dict[str, tuple[float, float, float]]:
    """GSR and DR with the lever less those without, in points, and the ends of the 95 % interval.

    Whole rounds are drawn anew, each with its counterpart of the same seed.
    """
    import numpy as np

    counts = ("successes", "attempts", "objects")
    if any(one.seed not in without for one in rounds):
        raise UserError("--against lacks some of the seeds: measure the same rounds without the lever first")
    ours = np.array([[getattr(one, name) for name in counts] for one in rounds], dtype=np.float64)
    theirs = np.array([[without[one.seed][name] for name in counts] for one in rounds], dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(rounds), size=(DRAWS, len(rounds)))
    result = {}
    for name, of in (("GSR", 1), ("DR", 2)):

        def rate(table: np.ndarray, of: int = of) -> np.ndarray:
            return 100.0 * table[..., 0] / np.maximum(table[..., of], 1.0)

        mean = float(rate(ours.sum(axis=0)) - rate(theirs.sum(axis=0)))
        spread = rate(ours[draws].sum(axis=1)) - rate(theirs[draws].sum(axis=1))
        low, high = np.percentile(spread, [2.5, 97.5])
        result[name] = (mean, float(low), float(high))
    return result
