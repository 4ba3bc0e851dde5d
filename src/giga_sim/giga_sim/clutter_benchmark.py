"""Clearing cluttered tables with the free hand: the paper's protocol (P1), round by round.

A fixed noisy side view, the best grasp tried, what was lifted taken away, until the table is clear, the detector
refuses, or two attempts in a row fail. GSR = successes / attempts; DR = successes / objects present at the start.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giga_perception.camera import DepthView
from giga_perception.depth_noise import add_depth_noise
from giga_perception.detection import GraspDetector
from giga_perception.grasp import T_workspace_grasp_origin_from_tcp
from giga_sim.grasp_trial import try_for_benchmark
from giga_sim.gripper_hand import PARKED, GripperHand
from giga_sim.object_sets import ObjectSet, Split
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.scenes import SceneKind, make_scene
from giga_sim.side_view_camera import CAMERA, render_depth, side_view
from giga_sim.worker_process import begin_worker

MAX_FAILURES_IN_A_ROW = 2
# A detector that keeps succeeding ends by itself; one that pushes things about must end too.
MAX_ATTEMPTS_PER_OBJECT = 4
BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class ClutterSettings:
    """What a benchmark measures; every field stands in the results file."""

    model: Path | None
    kind: SceneKind
    object_set: str
    split: Split | None
    object_count: int
    threshold: float
    out_threshold: float
    resolution: int
    best_forced: bool
    mode: str = "auto"
    averaging: str | None = None


@dataclass(frozen=True)
class RoundResult:
    """One round: how it went and how it ended (cleared, refused, two failures, pushed out, attempts)."""

    seed: int
    objects: int
    attempts: int
    successes: int
    left: int
    end: str
    detection_ms: tuple[float, ...]


def run_rounds(settings: ClutterSettings, seeds: Sequence[int], workers: int) -> Iterator[RoundResult]:
    """Carry out one round a seed, over several processes; results come as they are ready."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(settings,)) as pool:
        yield from pool.imap_unordered(_round_in_worker, seeds)


def clear_one_table(
    world: PhysicsWorld, detector: GraspDetector, objects: ObjectSet, settings: ClutterSettings, seed: int
) -> RoundResult:
    """Carry out the round of a seed."""
    rng = np.random.default_rng([seed, 0 if settings.kind == "pile" else 1])
    world.reset()
    world.add_table()
    make_scene(world, settings.kind, objects, settings.object_count, rng)
    hand = GripperHand(world)
    present = len(world.objects)
    attempts = successes = failures_in_a_row = 0
    detection_ms: list[float] = []
    end = "cleared" if present else "empty"
    while world.objects:
        hand.teleport(PARKED)
        clean = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
        detection = detector.detect([DepthView(add_depth_noise(clean, rng), CAMERA, side_view())])
        detection_ms.append(detection.report.total_ms)
        if not detection.grasps:
            end = "refused"
            break
        attempts += 1
        T_workspace_grasp = T_workspace_grasp_origin_from_tcp(detection.grasps[0].T_workspace_tcp)
        outcome = try_for_benchmark(world, hand, T_workspace_grasp)
        hand.teleport(PARKED)
        if outcome.body_id is not None and outcome.body_id in world.objects:
            world.remove(outcome.body_id)
            successes += 1
            failures_in_a_row = 0
        else:
            failures_in_a_row += 1
        world.settle()
        if failures_in_a_row >= MAX_FAILURES_IN_A_ROW and world.objects:
            end = "two failures"
            break
        if attempts >= MAX_ATTEMPTS_PER_OBJECT * present and world.objects:
            end = "attempts"
            break
    if end == "cleared" and successes < present:
        end = "pushed out"
    return RoundResult(seed, present, attempts, successes, len(world.objects), end, tuple(detection_ms))


@dataclass(frozen=True)
class Rates:
    """Grasp success rate and declutter rate in per cent, each with the ends of its 95 % interval."""

    gsr: float
    gsr_interval: tuple[float, float]
    dr: float
    dr_interval: tuple[float, float]


def rates_of(rounds: Sequence[RoundResult]) -> Rates:
    """GSR and DR over rounds; the intervals come from drawing whole rounds anew (attempts of one round depend)."""
    counts = np.array([[r.successes, r.attempts, r.objects] for r in rounds], dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(counts), size=(BOOTSTRAP_DRAWS, len(counts)))
    drawn = counts[draws].sum(axis=1)

    def percent(successes: np.ndarray, of: np.ndarray) -> np.ndarray:
        return 100.0 * successes / np.maximum(of, 1.0)

    total = counts.sum(axis=0)
    gsr_low, gsr_high = np.percentile(percent(drawn[:, 0], drawn[:, 1]), [2.5, 97.5])
    dr_low, dr_high = np.percentile(percent(drawn[:, 0], drawn[:, 2]), [2.5, 97.5])
    return Rates(
        gsr=float(percent(total[0], total[1])),
        gsr_interval=(float(gsr_low), float(gsr_high)),
        dr=float(percent(total[0], total[2])),
        dr_interval=(float(dr_low), float(dr_high)),
    )


_round_in_worker_state: dict[str, Callable[[int], RoundResult]] = {}


def _start_worker(settings: ClutterSettings) -> None:
    import torch

    begin_worker()
    torch.set_num_threads(1)
    objects = ObjectSet.named(settings.object_set)
    if settings.split is not None:
        objects = objects.split(settings.split)
    detector = GraspDetector.from_file(
        settings.model,
        resolution=settings.resolution,
        threshold=settings.threshold,
        out_threshold=settings.out_threshold,
        best_forced=settings.best_forced,
        mode=settings.mode,
        averaging=settings.averaging,
    )
    world = PhysicsWorld()
    _round_in_worker_state["run"] = lambda seed: clear_one_table(world, detector, objects, settings, seed)


def _round_in_worker(seed: int) -> RoundResult:
    return _round_in_worker_state["run"](seed)
