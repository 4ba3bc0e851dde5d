"""`giga benchmark paired_levers`: what each lever's grasp does where the mode alone tries its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception import GraspDetector
    from giga_sim.clutter_benchmark import ClutterSettings
    from giga_sim.object_sets import ObjectSet
    from giga_sim.physics_world import PhysicsWorld

SUMMARY = "rounds of protocol P1; at each attempt the first grasp of each lever is tried from the same state"
EXAMPLES = """  ./giga benchmark paired_levers --mode fast --scene pile --rounds 80 --json levers_fast_pile.json
  ./giga benchmark paired_levers --mode careful --lever imagined-trials --scene packed"""

LEVERS = ("centre-ascent", "smoothed-ascent", "several-rotations", "imagined-trials")
DRAWS = 10_000
ASCENT_STEPS = 6
IMAGINED_TRIES = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lever", choices=LEVERS, action="append", help="one of several (default: all that fit)")
    parser.add_argument("--scene", choices=("pile", "packed"), default="pile", help="kind of scene (default pile)")
    parser.add_argument("--mode", choices=("plain", "fast", "careful"), default="plain", help="base (default plain)")
    parser.add_argument("--split", choices=("train", "val"), default="val", help="parametric objects (default val)")
    parser.add_argument("--rounds", type=int, default=80, help="rounds (default 80)")
    parser.add_argument("--seed", type=int, default=5000, help="seed of the first round (default 5000)")
    parser.add_argument("--threshold", type=float, default=0.3, help="least quality of a grasp (default 0.3)")
    parser.add_argument("--json", type=Path, help="write the results there, anew after each round")


def run(args: argparse.Namespace) -> int:
    import torch

    from giga_bringup.benchmark_result import write_result
    from giga_perception import GraspDetector
    from giga_perception.detection_mode import MODES
    from giga_sim.clutter_benchmark import ClutterSettings
    from giga_sim.imagined_trials import ImaginedTrials
    from giga_sim.object_sets import ObjectSet
    from giga_sim.physics_world import PhysicsWorld

    if args.rounds < 1:
        raise UserError("--rounds must be at least 1")
    torch.set_num_threads(1)
    modes = {"none": MODES[args.mode]}
    for lever in args.lever or LEVERS:
        changed = _fields(lever, args.mode)
        if changed is not None:
            modes[lever] = type(modes["none"])(**(vars(modes["none"]) | changed))
        elif args.lever:
            raise UserError(f"the lever {lever} does not fit mode {args.mode}")
    detectors = {
        lever: GraspDetector.from_file(threshold=args.threshold, mode=mode, imagine=ImaginedTrials)
        for lever, mode in modes.items()
    }
    settings = ClutterSettings(None, args.scene, "parametric", args.split, 5, args.threshold, 0.5, 40, False)
    objects, world = ObjectSet.named("parametric").split(args.split), PhysicsWorld()
    rounds: list[dict[str, Any]] = []
    for seed in range(args.seed, args.seed + args.rounds):
        attempts = list(_attempts(world, detectors, objects, settings, seed))
        rounds.append({"seed": seed, "attempts": attempts})
        if args.json:
            report = {key: getattr(args, key) for key in ("scene", "mode", "split", "threshold")}
            write_result(args.json, {**report, "protocol": "P1", "summary": _summary(rounds), "rounds": rounds})
        if len(rounds) % 5 == 0 or len(rounds) == args.rounds:
            print(f"  {len(rounds)}/{args.rounds} rounds", flush=True)
    print(f"\nAttempts of P1, {args.scene}, mode {args.mode}, {args.rounds} rounds from seed {args.seed}")
    for lever, told in _summary(rounds).items():
        low, high = told["interval_points"]
        print(
            f"  {lever:18s} {told['successes']}/{told['attempts']}, won {told['won']} lost {told['lost']}, "
            f"{told['points']:+.1f} points ({low:+.1f} to {high:+.1f}), {told['median_detection_ms']:.0f} ms"
        )
    return 0


def _fields(lever: str, mode: str) -> dict[str, object] | None:
    """What the lever changes of a mode; None where it does not fit."""
    if lever == "imagined-trials":
        return {"imagined_tries": IMAGINED_TRIES}
    if mode == "careful" or (lever == "several-rotations" and mode != "fast"):
        return None
    if lever == "several-rotations":
        return {"several_rotations": True}
    return {"ascent_steps": ASCENT_STEPS, "smoothed_ascent": lever == "smoothed-ascent"}


def _attempts(
    world: PhysicsWorld, detectors: dict[str, GraspDetector], objects: ObjectSet, settings: ClutterSettings, seed: int
) -> Iterator[dict[str, dict[str, Any]]]:
    """A round as `clear_one_table` carries it out with detectors["none"], and how each lever's grasp ends.

    For each lever whether its first grasp lifts something (None: no grasp) and the milliseconds of detection. The
    others are tried first, each from the state that the round is in, which is then put back.
    """
    import numpy as np

    from giga_perception import DepthView, add_depth_noise
    from giga_perception.grasp import T_workspace_grasp_origin_from_tcp
    from giga_sim.clutter_benchmark import MAX_ATTEMPTS_PER_OBJECT, MAX_FAILURES_IN_A_ROW
    from giga_sim.grasp_trial import TrialOutcome, try_for_benchmark
    from giga_sim.gripper_hand import PARKED, GripperHand
    from giga_sim.physics_world import DEFAULT_TABLE
    from giga_sim.scenes import make_scene
    from giga_sim.side_view_camera import CAMERA, render_depth, side_view

    rng = np.random.default_rng([seed, 0 if settings.kind == "pile" else 1])
    world.reset()
    world.add_table()
    make_scene(world, settings.kind, objects, settings.object_count, rng)
    hand = GripperHand(world)
    most = MAX_ATTEMPTS_PER_OBJECT * len(world.objects)
    failures_in_a_row = 0
    for _ in range(most):
        hand.teleport(PARKED)
        clean = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
        view = DepthView(add_depth_noise(clean, rng), CAMERA, side_view())
        before = world.client.saveState()
        known: dict[bytes, TrialOutcome] = {}
        told: dict[str, dict[str, Any]] = {}
        for lever in [*(name for name in detectors if name != "none"), "none"]:
            detection = detectors[lever].detect([view])
            outcome = None
            if detection.grasps:
                T_workspace_grasp = T_workspace_grasp_origin_from_tcp(detection.grasps[0].T_workspace_tcp)
                key = np.round(T_workspace_grasp.as_matrix(), 6).tobytes()
                if lever == "none" or key not in known:
                    hand.teleport(PARKED)
                    world.client.restoreState(before)
                    known[key] = try_for_benchmark(world, hand, T_workspace_grasp)
                outcome = known[key]
            held = None if outcome is None else outcome.success
            told[lever] = {"held": held, "detection_ms": detection.report.total_ms}
        world.client.removeState(before)
        yield told
        hand.teleport(PARKED)
        if outcome is None:
            return
        if outcome.body_id is not None and outcome.body_id in world.objects:
            world.remove(outcome.body_id)
            failures_in_a_row = 0
        else:
            failures_in_a_row += 1
        world.settle()
        if failures_in_a_row >= MAX_FAILURES_IN_A_ROW or not world.objects:
            return


def _summary(rounds: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each lever: successes over attempts, those won and lost against the base, and the difference in points.

    Only attempts at which both have a grasp count. The 95 % interval comes from drawing whole rounds anew.
    """
    import numpy as np

    levers = next((list(attempt) for one in rounds for attempt in one["attempts"]), [])
    result = {}
    for lever in levers:
        counts = np.zeros((len(rounds), 4))  # attempts, successes, won, lost
        for row, one in zip(counts, rounds, strict=True):
            for attempt in one["attempts"]:
                ours, theirs = attempt[lever]["held"], attempt["none"]["held"]
                if ours is not None and theirs is not None:
                    row += [1, ours, ours and not theirs, theirs and not ours]
        draws = np.random.default_rng(0).integers(len(rounds), size=(DRAWS, len(rounds)))
        drawn = counts[draws].sum(axis=1)
        low, high = np.percentile(100.0 * (drawn[:, 2] - drawn[:, 3]) / np.maximum(drawn[:, 0], 1.0), [2.5, 97.5])
        attempts, successes, won, lost = (int(value) for value in counts.sum(axis=0))
        result[lever] = {
            "attempts": attempts,
            "successes": successes,
            "won": won,
            "lost": lost,
            "points": 100.0 * (won - lost) / max(attempts, 1),
            "interval_points": [float(low), float(high)],
            "median_detection_ms": float(
                np.median([attempt[lever]["detection_ms"] for one in rounds for attempt in one["attempts"]])
            ),
        }
    return result
