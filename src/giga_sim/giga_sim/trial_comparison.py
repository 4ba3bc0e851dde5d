"""The fast trials against the plain ones: the same grasps in the same scenes, outcomes and CPU time of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.gripper_hand import GripperHand
from giga_sim.label_generation import label_points, prepare_scene
from giga_sim.label_trials import LabelTrials
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.reference_trials import ReferenceTrials
from giga_sim.scenes import SceneKind

BOOTSTRAP_DRAWS = 2000
# The authors' table is a slab whose upper face is the origin, at this scale.
TABLE_URDF_SCALE = 0.6

Result = TypeVar("Result")


@dataclass(frozen=True)
class ReferenceParts:
    """What the plain trials use: by default our own hand and table, otherwise these URDFs."""

    hand: Path | None = None
    table: Path | None = None


@dataclass(frozen=True)
class SceneComparison:
    """One scene: successes of every trial, in one order, and CPU seconds.

    scene_cpu_s: settling, rendering, occupancy and drawing of points, which both need.
    """

    kind: SceneKind
    seed: int
    points: int
    fast: tuple[bool, ...]
    reference: tuple[bool, ...]
    width_differences_m: tuple[float, ...]
    scene_cpu_s: float
    fast_cpu_s: float
    reference_cpu_s: float


@dataclass(frozen=True)
class ComparisonFigures:
    """Over several scenes. Rates in per cent, with the ends of their 95 % intervals; speeds in points a CPU second.

    Most trials fail alike, so `agreement_where_any_lifts_percent` counts only those that one of both lifts in.
    """

    scenes: int
    points: int
    trials: int
    agreement_percent: float
    lifted_by_any: int
    agreement_where_any_lifts_percent: float
    fast_success_percent: float
    fast_success_interval: tuple[float, float]
    reference_success_percent: float
    reference_success_interval: tuple[float, float]
    difference_interval: tuple[float, float]
    median_width_difference_m: float
    scene_cpu_s_a_point: float
    fast_points_a_cpu_s: float
    reference_points_a_cpu_s: float

    @property
    def ratio(self) -> float:
        return self.fast_points_a_cpu_s / self.reference_points_a_cpu_s


def compare_scenes(
    kinds: Sequence[SceneKind],
    objects: dict[SceneKind, ObjectSet],
    trial_count: int,
    first_seed: int,
    points_per_scene: int,
    parts: ReferenceParts,
) -> Iterator[SceneComparison]:
    """Scene after scene, kinds in turn, until so many trials are done."""
    world, done, seed = PhysicsWorld(), 0, first_seed
    while done < trial_count:
        for kind in kinds:
            result = _compare_scene(world, kind, objects[kind], seed, points_per_scene, parts)
            if result is not None:
                done += len(result.fast)
                yield result
        seed += 1


def figures_of(scenes: Sequence[SceneComparison]) -> ComparisonFigures:
    """The figures over these scenes; intervals come from drawing whole scenes anew (trials of one scene depend)."""
    counts = np.array([[sum(s.fast), sum(s.reference), len(s.fast)] for s in scenes], dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(scenes), size=(BOOTSTRAP_DRAWS, len(scenes)))
    drawn = counts[draws].sum(axis=1)
    rates = 100.0 * drawn[:, :2] / drawn[:, 2:]
    fast, reference, trials = counts.sum(axis=0)
    pairs = [pair for s in scenes for pair in zip(s.fast, s.reference, strict=True)]
    same, lifted_by_both, lifted_by_any = (sum(map(count, pairs)) for count in (_equal, all, any))
    points = sum(s.points for s in scenes)
    scene_s = sum(s.scene_cpu_s for s in scenes)
    differences = [d for s in scenes for d in s.width_differences_m]

    def interval(values: np.ndarray) -> tuple[float, float]:
        low, high = np.percentile(values, [2.5, 97.5])
        return float(low), float(high)

    return ComparisonFigures(
        scenes=len(scenes),
        points=points,
        trials=int(trials),
        agreement_percent=100.0 * same / trials,
        lifted_by_any=lifted_by_any,
        agreement_where_any_lifts_percent=100.0 * lifted_by_both / max(1, lifted_by_any),
        fast_success_percent=100.0 * fast / trials,
        fast_success_interval=interval(rates[:, 0]),
        reference_success_percent=100.0 * reference / trials,
        reference_success_interval=interval(rates[:, 1]),
        difference_interval=interval(rates[:, 0] - rates[:, 1]),
        median_width_difference_m=float(np.median(differences)) if differences else 0.0,
        scene_cpu_s_a_point=scene_s / points,
        fast_points_a_cpu_s=points / (scene_s + sum(s.fast_cpu_s for s in scenes)),
        reference_points_a_cpu_s=points / (scene_s + sum(s.reference_cpu_s for s in scenes)),
    )


def _compare_scene(
    world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, seed: int, point_count: int, parts: ReferenceParts
) -> SceneComparison | None:
    scene = prepare_scene(world, kind, objects, seed, point_count)
    if scene is None:
        return None
    trials, load_s = _timed(lambda: LabelTrials(world, GripperHand(world)))
    _, label_s = _timed(lambda: label_points(trials, scene))
    # The outcomes of all yaws, to be compared: beyond what the labels need, so outside the time.
    fast = label_points(trials, scene, only_what_decides=False)
    # The same scene again: without the kept hand and its sweep, and its objects' meshes have been read once.
    again, scene_s = _timed(lambda: prepare_scene(world, kind, objects, seed, point_count))
    assert again is not None
    if parts.table is not None:
        _replace_table(world, parts.table)
    reference, reference_s = _timed(lambda: label_points(ReferenceTrials(world, parts.hand), again))
    pairs = [(a, b) for a, b in zip(fast.trials, reference.trials, strict=True) if a and b]
    return SceneComparison(
        kind=kind,
        seed=seed,
        points=len(fast.successes),
        fast=tuple(ours.success for ours, _ in pairs),
        reference=tuple(plain.success for _, plain in pairs),
        width_differences_m=tuple(
            abs(ours.width_m - plain.width_m) for ours, plain in pairs if ours.success and plain.success
        ),
        scene_cpu_s=scene_s,
        fast_cpu_s=load_s + label_s,
        reference_cpu_s=reference_s,
    )


def _equal(pair: tuple[bool, bool]) -> bool:
    return pair[0] == pair[1]


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def _replace_table(world: PhysicsWorld, urdf: Path) -> None:
    for body in list(world.immovable):
        world.remove(body)
    centre = [WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, TABLE_HEIGHT_M]
    world.immovable.add(world.client.loadURDF(str(urdf), centre, globalScaling=TABLE_URDF_SCALE, useFixedBase=True))
