"""Fills a data set folder with labelled scenes, over several processes, resumably."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from giga_perception.dataset import DatasetWriter
from giga_perception.source_commit import source_commit
from giga_sim.label_generation import GenerationSettings, generate_scene
from giga_sim.object_sets import ObjectSet, Split
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import SceneKind

# One scene in this many is made of held-out objects, to choose checkpoints by. A prime, so that these scenes meet every
# kind and object set as those take their turns.
VALIDATION_PERIOD = 17
SCENE_PLACEHOLDER = "{scene}"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class GenerationPlan:
    """What a data set is made of. Scene i has seed `first_seed + i`; kinds and object sets take turns.

    object_sets: names as ObjectSet.named takes them; `{scene}` in a name stands for the scene's kind.
    """

    folder: Path
    scene_count: int
    kinds: tuple[SceneKind, ...]
    object_sets: tuple[str, ...]
    first_seed: int
    settings: GenerationSettings


@dataclass(frozen=True)
class SceneTask:
    """One scene of a plan."""

    seed: int
    kind: SceneKind
    object_set: str
    split: Split


@dataclass(frozen=True)
class SceneResult:
    """What became of a task: its labelled points (0 when nothing stayed on the table), and how many are positive."""

    task: SceneTask
    points: int
    positives: int
    cpu_s: float


def tasks_of(plan: GenerationPlan) -> list[SceneTask]:
    """Every scene of the plan, in order."""
    tasks = []
    for index in range(plan.scene_count):
        kind = plan.kinds[index % len(plan.kinds)]
        objects = plan.object_sets[index // len(plan.kinds) % len(plan.object_sets)]
        split: Split = "val" if index % VALIDATION_PERIOD >= VALIDATION_PERIOD - 1 else "train"
        tasks.append(SceneTask(plan.first_seed + index, kind, objects.replace(SCENE_PLACEHOLDER, kind), split))
    return tasks


def check_plan(plan: GenerationPlan) -> None:
    """Open every object set once, so that a wrong name fails before any work. Raises ObjectSetError."""
    for name in {task.object_set for task in tasks_of(plan)}:
        for split in ("train", "val"):
            ObjectSet.named(name).split(split)


def generate_dataset(
    plan: GenerationPlan, *, workers: int, time_limit_s: float | None, report: Callable[[SceneResult, int], None]
) -> int:
    """Make the scenes that the folder does not hold yet; return how many were made.

    report: called after each scene with its result and the number of scenes still to do. Stops early at the time limit.
    """
    writer = DatasetWriter(plan.folder, _header(plan))
    done = {(kind, seed) for kind in plan.kinds for seed in writer.seeds_done(kind)}
    todo = [task for task in tasks_of(plan) if (task.kind, task.seed) not in done]
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    made = 0
    for result in _results(plan, todo, workers):
        made += 1
        report(result, len(todo) - made)
        if deadline is not None and time.monotonic() > deadline:
            break
    return made


def _results(plan: GenerationPlan, tasks: list[SceneTask], workers: int) -> Iterator[SceneResult]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(plan,)) as pool:
        yield from pool.imap_unordered(_make_scene, tasks)


# What a worker process keeps between scenes.
_worker: dict[str, Any] = {}


def _start_worker(plan: GenerationPlan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # and they never outlive it
    os.environ["OMP_NUM_THREADS"] = "1"
    _worker.update(plan=plan, world=PhysicsWorld(), writer=DatasetWriter(plan.folder, _header(plan)), sets={})


def _make_scene(task: SceneTask) -> SceneResult:
    started = time.process_time()
    sets: dict[tuple[str, Split], ObjectSet] = _worker["sets"]
    key = (task.object_set, task.split)
    if key not in sets:
        sets[key] = ObjectSet.named(task.object_set).split(task.split)
    settings = _worker["plan"].settings
    scene = generate_scene(_worker["world"], task.kind, sets[key], task.split, task.seed, settings)
    if scene is None:
        return SceneResult(task, 0, 0, time.process_time() - started)
    _worker["writer"].write(scene)
    return SceneResult(task, len(scene.successes), int(scene.successes.sum()), time.process_time() - started)


def _header(plan: GenerationPlan) -> dict[str, Any]:
    """What made the data set. Names of folders only: where they lay on one machine is nobody's business."""
    names = ["/".join(Path(name).parts[-3:]) for name in plan.object_sets]
    return {
        "generator": "giga generate",
        "commit": source_commit(),
        "kinds": list(plan.kinds),
        "object_sets": names,
        "first_seed": plan.first_seed,
        "settings": asdict(plan.settings),
    }
