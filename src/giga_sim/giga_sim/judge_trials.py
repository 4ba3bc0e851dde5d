"""Trials that a grasp judge learns from: what the detector proposes in simulated scenes, and whether it holds.

Each scene gives some of its candidates and, for each of those, one shifted or turned variant, since the judge is to
choose among variants too.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception import DepthView, GraspDetector, T_workspace_grasp_origin_from_tcp, add_depth_noise
from giga_perception.grasp_judge import CANDIDATE_QUALITY, ShapeQuery, judge_input, variants
from giga_sim.grasp_trial import try_for_benchmark
from giga_sim.gripper_hand import PARKED, GripperHand
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.scenes import SceneKind, draw_object_count, make_scene
from giga_sim.side_view_camera import CAMERA, render_depth, side_view
from giga_sim.worker_process import begin_worker

BEST_CANDIDATES = 4
OTHER_CANDIDATES = 4
_STREAM = 7  # of random numbers, apart from those of data generation and benchmark


@dataclass(frozen=True, eq=False)
class JudgedTrials:
    """N trials. patches: uint8 [N, X, Y, Z], occupancy in 255ths; features: [N, F]; successes: bool [N]."""

    patches: NDArray[np.uint8]
    features: NDArray[np.float32]
    successes: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.successes)


def trials_in_scene(world: PhysicsWorld, detector: GraspDetector, objects: ObjectSet, seed: int) -> JudgedTrials | None:
    """The trials of one seed; even seeds are packed scenes, odd ones piles. None when nothing is proposed."""
    kind: SceneKind = "pile" if seed % 2 else "packed"
    rng = np.random.default_rng([seed, _STREAM])
    world.reset()
    world.add_table()
    make_scene(world, kind, objects, draw_object_count(rng), rng)
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
        poses += [grasp.T_workspace_tcp, around[int(rng.integers(1, len(around)))]]
    query = detector.model.scene(detection.tsdf.value, detector.resolution)
    if not isinstance(query, ShapeQuery):
        raise ValueError("a judge needs a network that predicts geometry")
    seen = judge_input(
        query,
        RigidTransform.concatenate(poses),
        np.repeat(np.array([grasp.width_m for grasp in chosen], dtype=np.float32), 2),
        np.repeat(np.array([grasp.quality for grasp in chosen], dtype=np.float32), 2),
    )
    before = world.client.saveState()
    successes = []
    for pose in poses:
        successes.append(try_for_benchmark(world, hand, T_workspace_grasp_origin_from_tcp(pose)).success)
        hand.teleport(PARKED)
        world.client.restoreState(before)
    world.client.removeState(before)
    return JudgedTrials(np.round(seen.patches * 255.0).astype(np.uint8), seen.features, np.array(successes))


def make_trials(
    model: Path | None, object_set: str, averaging: str, seeds: list[int], workers: int
) -> Iterator[tuple[int, JudgedTrials | None]]:
    """The trials of each seed, over several processes, as they are ready, on objects of the training split."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(model, object_set, averaging)) as pool:
        yield from pool.imap_unordered(_trials_of_seed, seeds)


# What a worker process keeps between scenes.
_worker: dict[str, Any] = {}


def _start_worker(model: Path | None, object_set: str, averaging: str) -> None:
    begin_worker()
    import torch

    torch.set_num_threads(1)
    _worker["detector"] = GraspDetector.from_file(model, threshold=CANDIDATE_QUALITY, mode="plain", averaging=averaging)
    _worker["objects"] = ObjectSet.named(object_set).split("train")
    _worker["world"] = PhysicsWorld()


def _trials_of_seed(seed: int) -> tuple[int, JudgedTrials | None]:
    return seed, trials_in_scene(_worker["world"], _worker["detector"], _worker["objects"], seed)
