"""`giga benchmark clutter`: GSR and DR of a detector, tried with the free hand by the paper's protocol."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from giga_bringup.errors import UserError

SUMMARY = "clear cluttered tables with the free hand: grasp success rate and declutter rate (protocol P1)"
EXAMPLES = """  ./giga benchmark clutter --scene pile --rounds 100 --json pile.json
  ./giga benchmark clutter --scene packed --objects FOLDER_OF_URDFS --split all --model FILE.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="model file (default: the shipped weights)")
    parser.add_argument("--scene", choices=("pile", "packed"), default="pile", help="kind of scene (default pile)")
    parser.add_argument("--objects", default="parametric", help="'parametric' or a folder of URDFs")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="objects of this split (default test)"
    )
    parser.add_argument("--count", type=int, default=5, help="objects a round (default 5)")
    parser.add_argument("--rounds", type=int, default=100, help="rounds (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round (default 0)")
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
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--json", type=Path, help="write the results there")


def run(args: argparse.Namespace) -> int:
    from collections import Counter

    import numpy as np

    from giga_bringup.benchmark_result import write_result
    from giga_perception.weights import ModelFileError, load_model, model_path
    from giga_sim.clutter_benchmark import ClutterSettings, RoundResult, rates_of, run_rounds
    from giga_sim.object_sets import ObjectSet, ObjectSetError

    if min(args.rounds, args.count, args.workers) < 1:
        raise UserError("--rounds, --count and --workers must be at least 1")
    try:
        load_model(model_path(args.model))
        chosen = ObjectSet.named(args.objects)
        if args.split != "all":
            chosen.split(args.split)
    except (ModelFileError, ObjectSetError) as error:
        raise UserError(str(error)) from error
    settings = ClutterSettings(
        model=args.model,
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
    )
    rounds: list[RoundResult] = []
    seeds = list(range(args.seed, args.seed + args.rounds))
    for result in run_rounds(settings, seeds, min(args.workers, args.rounds)):
        rounds.append(result)
        if len(rounds) % 5 == 0 or len(rounds) == args.rounds:
            rates = rates_of(rounds)
            print(f"  {len(rounds)}/{args.rounds} rounds: GSR {rates.gsr:.1f} %, DR {rates.dr:.1f} %", flush=True)
    rounds.sort(key=lambda result: result.seed)
    rates = rates_of(rounds)
    ends = Counter(result.end for result in rounds)
    detection_ms = float(np.median([ms for result in rounds for ms in result.detection_ms] or [0.0]))
    low, high = rates.gsr_interval
    print(
        f"\nP1, {args.scene}, {args.objects} ({args.split}), {args.rounds} rounds of {args.count} from seed {args.seed}"
    )
    print(f"  GSR {rates.gsr:5.1f} %  ({low:.1f} to {high:.1f})")
    low, high = rates.dr_interval
    print(f"  DR  {rates.dr:5.1f} %  ({low:.1f} to {high:.1f})")
    print(f"  ends: {', '.join(f'{end} {count}' for end, count in ends.most_common())}")
    print(f"  median detection {detection_ms:.0f} ms")
    if args.json:
        report = {
            "protocol": "P1",
            "model": str(args.model.name if args.model else "shipped"),
            "scene": args.scene,
            "object_set": "/".join(Path(args.objects).parts[-3:]),
            "split": args.split,
            "object_count": args.count,
            "seeds": [seeds[0], seeds[-1]],
            "threshold": args.threshold,
            "out_threshold": args.out_threshold,
            "best_forced": args.force,
            "resolution": args.resolution,
            "mode": args.mode,
            "averaging": args.averaging,
            "gsr_percent": rates.gsr,
            "gsr_interval_percent": rates.gsr_interval,
            "dr_percent": rates.dr,
            "dr_interval_percent": rates.dr_interval,
            "ends": dict(ends),
            "objects": sum(result.objects for result in rounds),
            "attempts": sum(result.attempts for result in rounds),
            "successes": sum(result.successes for result in rounds),
            "median_detection_ms": detection_ms,
            "rounds": [vars(result) for result in rounds],
        }
        write_result(args.json, report)
        print(f"  written to {args.json}")
    return 0
