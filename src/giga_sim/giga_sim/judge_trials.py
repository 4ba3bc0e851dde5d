"""Trials that a grasp judge learns from: what the detector proposes in simulated scenes, and whether it holds.

Each scene gives some of its candidates and, for each of those, shifted and turned variants, since the judge is to
choose among variants too. What is kept of a scene is what the camera saw, not what a judge makes of it, so that a judge
that looks at other things, or one for later weights, can learn from the same trials.
"""

from __future__ import annotations

import multiprocessing
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import DepthView, GraspDetector, T_workspace_grasp_origin_from_tcp, TsdfGrid, add_depth_noise
from giga_perception.grasp_judge import CANDIDATE_QUALITY, JudgeInput, ShapeQuery, judge_input, variants
from giga_perception.network import Giga
from giga_sim.dataset_generation import SCENE_PLACEHOLDER
from giga_sim.grasp_trial import try_for_benchmark
from giga_sim.gripper_hand import PARKED, GripperHand
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.scenes import SCENE_KINDS, SceneKind, draw_object_count, make_scene
from giga_sim.side_view_camera import CAMERA, render_depth, side_view
from giga_sim.worker_process import begin_worker

BEST_CANDIDATES = 5
OTHER_CANDIDATES = 5
VARIANTS = 2  # of each candidate, besides itself
_STREAM = 7  # of random numbers, apart from those of data generation and benchmark


@dataclass(frozen=True, eq=False)
class SceneTrials:
    """N grasps tried in one scene, each in the scene as it was at first.

    seed: of the scene. tsdf: what was seen of it. T_workspace_tcp: the poses tried, a RigidTransform of length N.
    width_m, quality: [N], as the network predicted them for the candidate that a pose is, or is a variant of.
    successes: bool [N].
    """

    seed: int
    tsdf: TsdfGrid
    T_workspace_tcp: RigidTransform
    width_m: NDArray[np.float32]
    quality: NDArray[np.float32]
    successes: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.successes)


def scene_kind_of(seed: int) -> SceneKind:
    """Even seeds are packed scenes, odd ones piles."""
    return "pile" if seed % 2 else "packed"


def trials_in_scene(world: PhysicsWorld, detector: GraspDetector, objects: ObjectSet, seed: int) -> SceneTrials | None:
    """The trials of one seed. None when nothing is proposed."""
    rng = np.random.default_rng([seed, _STREAM])
    world.reset()
    world.add_table()
    make_scene(world, scene_kind_of(seed), objects, draw_object_count(rng), rng)
    if not world.objects:
        return None
    hand = GripperHand(world)
    hand.teleport(PARKED)
    clean = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
    detection = detector.detect([DepthView(add_depth_noise(clean, rng), CAMERA, side_view())])
    grasps = detection.grasps
    if not grasps:
        return None
    others = rng.permutation(np.arange(BEST_CANDIDATES, len(grasps)))[:OTHER_CANDIDATES]
    chosen = [*grasps[:BEST_CANDIDATES], *(grasps[int(index)] for index in others)]
    poses = []
    for grasp in chosen:
        around = variants(grasp.T_workspace_tcp)
        poses.append(grasp.T_workspace_tcp)
        poses += [around[int(index)] for index in rng.choice(np.arange(1, len(around)), VARIANTS, replace=False)]
    before = world.client.saveState()
    successes = []
    for pose in poses:
        successes.append(try_for_benchmark(world, hand, T_workspace_grasp_origin_from_tcp(pose)).success)
        hand.teleport(PARKED)
        world.client.restoreState(before)
    world.client.removeState(before)
    return SceneTrials(
        seed=seed,
        tsdf=detection.tsdf,
        T_workspace_tcp=RigidTransform.concatenate(poses),
        width_m=np.repeat(np.array([grasp.width_m for grasp in chosen], dtype=np.float32), 1 + VARIANTS),
        quality=np.repeat(np.array([grasp.quality for grasp in chosen], dtype=np.float32), 1 + VARIANTS),
        successes=np.array(successes),
    )


def write_trials(path: Path, scenes: Sequence[SceneTrials]) -> None:
    """Store the trials of some scenes (at least one) in one file, about 20 kB a scene."""
    poses = RigidTransform.concatenate([scene.T_workspace_tcp for scene in scenes])
    np.savez_compressed(
        path,
        seeds=np.array([scene.seed for scene in scenes]),
        counts=np.array([len(scene) for scene in scenes]),
        tsdf=np.stack([scene.tsdf.value for scene in scenes]).astype(np.float16),
        observed=np.packbits(np.stack([scene.tsdf.weight > 0 for scene in scenes]), axis=-1),
        positions_m=poses.translation.astype(np.float32),
        rotations_xyzw=poses.rotation.as_quat().astype(np.float32),
        width_m=np.concatenate([scene.width_m for scene in scenes]),
        quality=np.concatenate([scene.quality for scene in scenes]),
        successes=np.concatenate([scene.successes for scene in scenes]),
    )


def read_trials(path: Path) -> list[SceneTrials]:
    """What `write_trials` stored; a voxel's weight says only whether it was observed.

    Raises ValueError, with a sentence, for a file that is damaged or of an earlier format.
    """
    try:
        with np.load(path) as file:
            stored = dict(file)
        missing = {"seeds", "counts", "tsdf", "observed"} - stored.keys()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, and its grasps are tried again") from error
    if missing:
        raise ValueError(f"{path} is no file of trials, or of an earlier format: delete it, or name another folder")
    resolution = stored["tsdf"].shape[-1]
    observed = np.unpackbits(stored["observed"], axis=-1, count=resolution)
    ends = np.cumsum(stored["counts"])
    scenes = []
    for index, (seed, count) in enumerate(zip(stored["seeds"], stored["counts"], strict=True)):
        part = slice(ends[index] - count, ends[index])
        rotations = Rotation.from_quat(stored["rotations_xyzw"][part].astype(np.float64))
        scenes.append(
            SceneTrials(
                seed=int(seed),
                tsdf=TsdfGrid(stored["tsdf"][index].astype(np.float32), observed[index].astype(np.float32)),
                T_workspace_tcp=RigidTransform.from_components(stored["positions_m"][part], rotations),
                width_m=stored["width_m"][part],
                quality=stored["quality"][part],
                successes=stored["successes"][part],
            )
        )
    return scenes


def object_sets_of(names: Sequence[str]) -> dict[tuple[str, SceneKind], ObjectSet]:
    """The training objects of these sets by name and kind of scene.

    names: as ObjectSet.named takes them, `{scene}` standing for the kind. Raises ObjectSetError.
    """
    return {
        (name, kind): ObjectSet.named(name.replace(SCENE_PLACEHOLDER, kind)).split("train")
        for name in names
        for kind in SCENE_KINDS
    }


def lessons_of(model: Giga, tried: Sequence[SceneTrials]) -> tuple[JudgeInput, NDArray[np.bool_], NDArray[np.int64]]:
    """What a judge of `model` is told of every trial, whether it held [N], and the seed of its scene [N]."""
    told = []
    for trials in tried:
        query = model.scene(trials.tsdf.value, trials.tsdf.resolution)
        if not isinstance(query, ShapeQuery):
            raise ValueError("a judge needs a network that predicts geometry")
        told.append(judge_input(query, trials.T_workspace_tcp, trials.width_m, trials.quality))
    return (
        JudgeInput(np.concatenate([one.patches for one in told]), np.concatenate([one.features for one in told])),
        np.concatenate([trials.successes for trials in tried]),
        np.repeat([trials.seed for trials in tried], [len(trials) for trials in tried]),
    )


def make_trials(
    model: Path | None, object_sets: Sequence[str], averaging: str, seeds: list[int], workers: int
) -> Iterator[tuple[int, SceneTrials | None]]:
    """The trials of each seed, over several processes, as they are ready, on objects of the training split.

    object_sets: names as `object_sets_of` takes them; they take turns.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(model, object_sets, averaging)) as pool:
        yield from pool.imap_unordered(_trials_of_seed, seeds)


# What a worker process keeps between scenes.
_worker: dict[str, Any] = {}


def _start_worker(model: Path | None, object_sets: Sequence[str], averaging: str) -> None:
    begin_worker()
    import torch

    torch.set_num_threads(1)
    _worker["detector"] = GraspDetector.from_file(model, threshold=CANDIDATE_QUALITY, mode="plain", averaging=averaging)
    _worker["objects"] = object_sets_of(object_sets)
    _worker["sets"] = tuple(object_sets)
    _worker["world"] = PhysicsWorld()


def _trials_of_seed(seed: int) -> tuple[int, SceneTrials | None]:
    # Kinds alternate from seed to seed, so the sets take turns every two.
    sets = _worker["sets"]
    objects = _worker["objects"][sets[seed // 2 % len(sets)], scene_kind_of(seed)]
    return seed, trials_in_scene(_worker["world"], _worker["detector"], objects, seed)
