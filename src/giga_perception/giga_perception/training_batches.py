"""Batches for training: labelled scenes kept compactly in memory, noise and augmentation drawn afresh each time.

Everything random about the use of a scene comes from (seed, epoch, scene), so batches do not depend on how many
threads make them or on where a run was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from giga_perception.augmentation import IDENTITY, CubeSymmetry
from giga_perception.depth_noise import add_depth_noise
from giga_perception.labelled_scene import LabelledScene
from giga_perception.losses import GraspTargets
from giga_perception.occupancy_points import OCCUPANCY_POINT_COUNT, occupancy_points_m
from giga_perception.projective_tsdf import ProjectiveFusion, fuse_values, projective_fusion
from giga_perception.scene_views import SIDE_VIEW, CompressedView, ViewChoice, compressed_view, draw_views
from giga_perception.stored_depth import DEPTH_UNIT_M
from giga_perception.workspace import WORKSPACE_SIZE_M

# Half of the occupancy points fill the cube, as in the paper; the others lie within this of the objects' bounding box,
# as in the authors' code.
OBJECT_MARGIN_M = 0.02


@dataclass(frozen=True, eq=False)
class CompactScene:
    """What training needs of a labelled scene: 0.3 MB, most of it the part of the image that shows the workspace.

    Each view besides the side view adds 11 to 17 KB (scene_views.py).
    """

    fusion: ProjectiveFusion
    depth_steps: NDArray[np.uint16]
    centres_m: NDArray[np.float32]
    rotations_xyzw: NDArray[np.float32]
    widths_m: NDArray[np.float32]
    successes: NDArray[np.bool_]
    occupancy_bits: NDArray[np.uint8]
    object_box_m: NDArray[np.float32]
    """[2, 3] lower and upper corner of the occupied points, grown by OBJECT_MARGIN_M."""
    other_views: tuple[CompressedView, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B scenes: tsdf [B, R, R, R]; grasp_points [B, N, 3] and occupancy_points [B, M, 3] in cube coordinates."""

    tsdf: Tensor
    grasp_points: Tensor
    occupancy_points: Tensor
    targets: GraspTargets

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on a device."""
        targets = {name: value.to(device) for name, value in vars(self.targets).items()}
        return TrainingBatch(
            tsdf=self.tsdf.to(device),
            grasp_points=self.grasp_points.to(device),
            occupancy_points=self.occupancy_points.to(device),
            targets=GraspTargets(**targets),
        )


@dataclass(frozen=True)
class BatchSettings:
    """How a scene becomes part of a batch.

    grasps: labelled points used, at most. failure_share: share of the failures among them that is used, drawn anew each
    time. positive_weight: weight of a success in the quality loss; the others have negative_weight. noise: draw depth
    noise.
    """

    grasps: int
    occupancy_points: int
    symmetries: tuple[CubeSymmetry, ...] = (IDENTITY,)
    positive_weight: float = 1.0
    negative_weight: float = 1.0
    failure_share: float = 1.0
    noise: bool = True
    views: ViewChoice = "side"
    """Which images a sample sees, drawn as `scene_views.draw_views` says."""
    views_a_sample: int = 6
    """How many images ``several`` fuses."""


def compact_scene(scene: LabelledScene) -> CompactScene:
    """Keeps what training needs."""
    fusion = projective_fusion(scene.camera, scene.T_camera_workspace)
    occupied = occupancy_points_m()[scene.occupancy]
    box = (
        np.stack([occupied.min(axis=0) - OBJECT_MARGIN_M, occupied.max(axis=0) + OBJECT_MARGIN_M])
        if len(occupied)
        else np.array([[0.0] * 3, [WORKSPACE_SIZE_M] * 3])
    )
    # What a failure's orientation and width hold has no meaning; the identity keeps the arithmetic finite.
    meaningless = ~scene.successes
    rotations = np.where(meaningless[:, None], np.array([0, 0, 0, 1], dtype=np.float32), scene.rotations_xyzw)
    return CompactScene(
        fusion=fusion,
        depth_steps=np.rint(fusion.crop(scene.depth_m) / DEPTH_UNIT_M).astype(np.uint16),
        centres_m=scene.centres_m,
        rotations_xyzw=rotations.astype(np.float32),
        widths_m=np.where(meaningless, 0.0, scene.widths_m).astype(np.float32),
        successes=scene.successes,
        occupancy_bits=np.packbits(scene.occupancy),
        object_box_m=box.astype(np.float32),
        other_views=tuple(compressed_view(view) for view in scene.other_views),
    )


def make_batch(
    scenes: Sequence[CompactScene], rngs: Sequence[np.random.Generator], settings: BatchSettings
) -> TrainingBatch:
    """One batch of the given scenes; `rngs` draws noise, symmetry, grasps and points of each."""
    samples = [_sample(scene, rng, settings) for scene, rng in zip(scenes, rngs, strict=True)]
    tsdf, centres, occupancy_points, successes, weights, rotations, widths, occupancy = (
        torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True)
    )
    return TrainingBatch(
        tsdf=tsdf,
        grasp_points=centres / WORKSPACE_SIZE_M - 0.5,
        occupancy_points=occupancy_points / WORKSPACE_SIZE_M - 0.5,
        targets=GraspTargets(
            successes=successes,
            weights=weights,
            rotations=rotations,
            widths_cubes=widths / WORKSPACE_SIZE_M,
            occupancy=occupancy,
        ),
    )


def scene_tsdf(scene: CompactScene, rng: np.random.Generator | None) -> NDArray[np.float32]:
    """The TSDF [R, R, R] of a scene's side view, with fresh noise if there is a generator to draw it."""
    return _tsdf_of_views(scene, [SIDE_VIEW], rng)


def _tsdf_of_views(scene: CompactScene, chosen: Sequence[int], rng: np.random.Generator | None) -> NDArray[np.float32]:
    """The TSDF of one view, or of several fused, each with noise of its own if there is a generator to draw it."""
    views = []
    for index in chosen:
        if index == SIDE_VIEW:
            fusion, depth_m = scene.fusion, scene.depth_steps * np.float32(DEPTH_UNIT_M)
        else:
            fusion, depth_m = scene.other_views[index - 1].unpack()
        views.append((fusion, depth_m if rng is None else add_depth_noise(depth_m, rng)))
    ((fusion, depth_m), *more) = views
    return fuse_values(views) if more else fusion.fuse_value(depth_m)


def _sample(scene: CompactScene, rng: np.random.Generator, settings: BatchSettings) -> tuple[NDArray[np.float32], ...]:
    symmetry = settings.symmetries[int(rng.integers(len(settings.symmetries)))]
    chosen_views = draw_views(rng, settings.views, len(scene.other_views), settings.views_a_sample)
    tsdf = symmetry.grid(_tsdf_of_views(scene, chosen_views, rng if settings.noise else None))

    chosen = _chosen_grasps(scene.successes, rng, settings)
    successes = scene.successes[chosen]
    weights = np.where(successes, settings.positive_weight, settings.negative_weight)
    rotations = symmetry.rotations_xyzw(scene.rotations_xyzw[chosen])

    indices = _occupancy_indices(scene, rng, settings.occupancy_points)
    occupancy = (scene.occupancy_bits[indices // 8] >> (7 - indices % 8)) & 1
    return (
        tsdf,
        _padded(symmetry.points_m(scene.centres_m[chosen]), settings.grasps),
        symmetry.points_m(occupancy_points_m()[indices]),
        _padded(successes, settings.grasps),
        _padded(weights, settings.grasps),
        _padded(rotations, settings.grasps),
        _padded(scene.widths_m[chosen], settings.grasps),
        occupancy.astype(np.float32),
    )


def _chosen_grasps(
    successes: NDArray[np.bool_], rng: np.random.Generator, settings: BatchSettings
) -> NDArray[np.int64]:
    """Indices of the labelled points that this use of the scene learns from."""
    chosen = np.arange(len(successes))
    if settings.failure_share < 1.0:
        failures = np.flatnonzero(~successes)
        # Rounded up or down by chance: so the share holds over all scenes, however few labels each has.
        kept = int(settings.failure_share * len(failures) + rng.random())
        chosen = np.concatenate([np.flatnonzero(successes), rng.choice(failures, kept, replace=False)])
    if len(chosen) > settings.grasps:
        chosen = rng.choice(chosen, settings.grasps, replace=False)
    return chosen


def _occupancy_indices(scene: CompactScene, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Half of the points anywhere in the cube, half around the objects."""
    points_m = occupancy_points_m()
    # A contiguous run of the sequence fills the cube more evenly than an independent draw.
    anywhere = (rng.integers(OCCUPANCY_POINT_COUNT) + np.arange(count - count // 2)) % OCCUPANCY_POINT_COUNT
    lower, upper = scene.object_box_m
    # Looking at a part of the sequence is enough to find points in the box, unless it is tiny.
    start = int(rng.integers(OCCUPANCY_POINT_COUNT))
    candidates = (start + np.arange(min(OCCUPANCY_POINT_COUNT, 16 * count))) % OCCUPANCY_POINT_COUNT
    looked_at = points_m[candidates]
    inside = candidates[np.all((looked_at >= lower) & (looked_at <= upper), axis=1)]
    near = rng.choice(inside if len(inside) else candidates, count // 2)
    return np.concatenate([anywhere, near])


def _padded(values: NDArray[np.generic], count: int) -> NDArray[np.float32]:
    """[N, ...] grown to [count, ...] with zeros."""
    padded = np.zeros((count, *values.shape[1:]), dtype=np.float32)
    padded[: len(values)] = values
    return padded
