"""Fills a data set folder with labelled scenes, over several processes or a Ray cluster, resumably.

The same task makes the same scene, so whatever was lost on the way is simply made again.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from giga_perception.dataset import DatasetWriter, LabelledScene, read_dataset_header
from giga_perception.source_commit import source_commit
from giga_sim.label_generation import GenerationSettings, generate_scene
from giga_sim.object_sets import ObjectSet, Split
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import SceneKind
from giga_sim.worker_process import begin_worker

# One scene in this many is made of held-out objects, to choose checkpoints by. A prime, so that these scenes meet every
# kind and object set as those take their turns.
VALIDATION_PERIOD = 17
SCENE_PLACEHOLDER = "{scene}"


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
    for name, kind in sorted({(task.object_set, task.kind) for task in tasks_of(plan)}):
        splits: tuple[Split, ...] = ("train", "val")
        for objects in map(ObjectSet.named(name).split, splits):
            if kind == "packed":
                objects.standing()


def other_settings(plan: GenerationPlan) -> str:
    """What a plan asks for otherwise than the data set that its folder holds began with, in words; "" if nothing.

    Both may lie in one folder. Raises DatasetError when the folder holds no data set.
    """
    began = read_dataset_header(plan.folder).get("settings", {})
    defaults = asdict(GenerationSettings())
    words = [
        f"{name} {began.get(name, defaults[name])}, now {value}"
        for name, value in asdict(plan.settings).items()
        if began.get(name, defaults[name]) != value
    ]
    return "; ".join(words)


def generate_dataset(
    plan: GenerationPlan,
    *,
    workers: int,
    time_limit_s: float | None,
    report: Callable[[SceneResult, int], None],
    cluster: str | None = None,
) -> int:
    """Make the scenes that the folder does not hold yet; return how many were made.

    report: called after each scene with its result and the number of scenes still to do. Stops early at the time limit.
    cluster: the address of a Ray cluster that does the work (ray_generation.py), instead of `workers` processes here.
    Raises ClusterError when there is no such cluster.
    """
    writer = DatasetWriter(plan.folder, _header(plan))
    done = {(kind, seed) for kind in plan.kinds for seed in writer.seeds_done(kind)}
    todo = [task for task in tasks_of(plan) if (task.kind, task.seed) not in done]
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    made = 0
    results = _results(plan, todo, workers) if cluster is None else _results_of_cluster(plan, todo, workers, cluster)
    for result in results:
        made += 1
        report(result, len(todo) - made)
        if deadline is not None and time.monotonic() > deadline:
            break
    return made


def make_scene_of(task: SceneTask, settings: GenerationSettings) -> tuple[LabelledScene | None, float]:
    """The scene of a task (None when nothing stayed on the table) and the CPU seconds it took.

    The process keeps its world and its object sets for the next task.
    """
    started = time.process_time()
    if "world" not in _kept:
        _kept["world"] = PhysicsWorld()
    key = (task.object_set, task.split)
    if key not in _kept:
        _kept[key] = ObjectSet.named(task.object_set).split(task.split)
    scene = generate_scene(_kept["world"], task.kind, _kept[key], task.split, task.seed, settings)
    return scene, time.process_time() - started


def store(writer: DatasetWriter, task: SceneTask, scene: LabelledScene | None, cpu_s: float) -> SceneResult:
    """Write a scene, if there is one; what became of its task."""
    if scene is None:
        return SceneResult(task, 0, 0, cpu_s)
    writer.write(scene)
    return SceneResult(task, len(scene.successes), int(scene.successes.sum()), cpu_s)


# What a process keeps between scenes: its world, its object sets by name and split.
_kept: dict[Any, Any] = {}


def _results(plan: GenerationPlan, tasks: list[SceneTask], workers: int) -> Iterator[SceneResult]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(plan,)) as pool:
        yield from pool.imap_unordered(_make_and_store, tasks)


def _results_of_cluster(
    plan: GenerationPlan, tasks: list[SceneTask], workers: int, cluster: str
) -> Iterator[SceneResult]:
    from giga_sim.ray_generation import scenes_of_cluster

    writer = DatasetWriter(plan.folder, _header(plan))
    for task, scene, cpu_s in scenes_of_cluster(tasks, plan.settings, cluster, workers):
        yield store(writer, task, scene, cpu_s)


def _start_worker(plan: GenerationPlan) -> None:
    begin_worker()
    _kept.update(settings=plan.settings, writer=DatasetWriter(plan.folder, _header(plan)))


def _make_and_store(task: SceneTask) -> SceneResult:
    return store(_kept["writer"], task, *make_scene_of(task, _kept["settings"]))


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
