"""A network asked about a scene and its mirror images and quarter turns at once, the answers averaged.

The workspace has no preferred side, a trained network has: it errs differently on the scene and on its mirror image.
Averaging costs one encoding and one set of questions a symmetry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from giga_perception.augmentation import AUGMENTATIONS, IDENTITY, CubeSymmetry
from giga_perception.grid_query import GridSceneQuery
from giga_perception.scene_query import FloatArray, GraspNetwork, SceneQuery, VoxelIndices

# Answers for an orientation further than this from the scene's own mean another grasp, and are not mixed with it.
_SAME_GRASP_RAD = np.deg2rad(45.0)

# A parallel hand turned by half a turn about its approach is the same hand.
_HALF_TURN = Rotation.from_euler("z", 180.0, degrees=True)


class SymmetricAverage:
    """A `GraspNetwork` that averages another one over symmetries of the workspace."""

    def __init__(self, network: GraspNetwork, symmetries: Sequence[CubeSymmetry]) -> None:
        """symmetries: the first must be the identity, whose answer decides where others differ in kind."""
        if not symmetries or symmetries[0] != IDENTITY:
            raise ValueError("the first of the symmetries must be the identity")
        self.network = network
        self.symmetries = tuple(symmetries)

    @property
    def kind(self) -> str:
        """That of the network behind it."""
        return self.network.kind

    @property
    def has_grasps(self) -> bool:
        """As the network behind it."""
        return self.network.has_grasps

    @property
    def has_geometry(self) -> bool:
        """As the network behind it."""
        return self.network.has_geometry

    def check_resolution(self, resolution: int) -> None:
        """As the network behind it."""
        self.network.check_resolution(resolution)

    def scene(self, tsdf: FloatArray, resolution: int) -> AveragedQuery:
        """Encodes the TSDF [R, R, R] once a symmetry."""
        queries = [self.network.scene(symmetry.grid(tsdf), resolution) for symmetry in self.symmetries]
        return AveragedQuery(queries, self.symmetries, resolution)


def averaged(network: GraspNetwork, averaging: str) -> GraspNetwork:
    """The network averaged over a name of `augmentation.AUGMENTATIONS`; itself for "none". Raises ValueError."""
    if averaging not in AUGMENTATIONS:
        raise ValueError(f"averaging over '{averaging}' is unknown: say one of {', '.join(AUGMENTATIONS)}")
    return network if averaging == "none" else SymmetricAverage(network, AUGMENTATIONS[averaging])


class AveragedQuery:
    """The `SceneQuery` of a scene seen through several symmetries."""

    def __init__(self, queries: Sequence[SceneQuery], symmetries: Sequence[CubeSymmetry], resolution: int) -> None:
        self._queries = queries
        self._symmetries = symmetries
        self._resolution = resolution

    def quality(self, voxels: VoxelIndices) -> FloatArray:
        """[N], the mean probability."""
        return self._mean([query.quality for query in self._queries], voxels)

    def width(self, voxels: VoxelIndices) -> FloatArray:
        """[N], the mean width in cubes."""
        return self._mean([query.width for query in self._queries], voxels)

    def rotation(self, voxels: VoxelIndices) -> FloatArray:
        """[N, 4], the mean of the orientations that mean the grasp of the scene as it is."""
        own = Rotation.from_quat(self._queries[0].rotation(voxels).astype(np.float64))
        total = own.as_quat()
        for query, symmetry in zip(self._queries[1:], self._symmetries[1:], strict=True):
            there, known = self._transformed(symmetry, voxels)
            seen = np.asarray(query.rotation(there[known]), dtype=np.float64)
            answer = Rotation.from_quat(symmetry.inverse_rotations_xyzw(seen))
            reference = own[known]
            turned = answer * _HALF_TURN
            nearer = (reference.inv() * turned).magnitude() < (reference.inv() * answer).magnitude()
            quaternions = np.where(nearer[:, None], turned.as_quat(), answer.as_quat())
            aligned = np.sum(quaternions * reference.as_quat(), axis=1)
            same = np.abs(aligned) > np.cos(_SAME_GRASP_RAD / 2.0)
            total[known] += np.where(same[:, None], np.sign(aligned)[:, None] * quaternions, 0.0)
        mean: FloatArray = (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)
        return mean

    def rotation_at(self, points: FloatArray) -> FloatArray:
        """[N, 4] orientations at cube coordinates [N, 3], of the scene as it is; as the network's own."""
        first = self._queries[0]
        if not isinstance(first, GridSceneQuery):
            raise ValueError("the averaged network has orientations on its grid only")
        return first.rotation_at(points)

    def occupancy(self, points: FloatArray) -> FloatArray:
        """[N] probability of occupancy at cube coordinates [N, 3], of the scene as it is; as the network's own."""
        first = self._queries[0]
        if not isinstance(first, GridSceneQuery):
            raise ValueError("the averaged network predicts no occupancy")
        return first.occupancy(points)

    def _mean(self, heads: Sequence[Callable[[VoxelIndices], FloatArray]], voxels: VoxelIndices) -> FloatArray:
        total = np.zeros(len(voxels), dtype=np.float32)
        count = np.zeros(len(voxels), dtype=np.float32)
        for head, symmetry in zip(heads, self._symmetries, strict=True):
            there, known = self._transformed(symmetry, voxels)
            total[known] += head(there[known])
            count += known
        return total / count

    def _transformed(self, symmetry: CubeSymmetry, voxels: VoxelIndices) -> tuple[VoxelIndices, NDArray[np.bool_]]:
        """Where voxels' lower corners come to lie, as flat indices, and for which of them the grid has such a point.

        The corner i of an axis that is turned round becomes R - i: the first corner falls on the far side of the cube,
        where no voxel has its lower corner.
        """
        resolution = self._resolution
        x, y, z = np.unravel_index(voxels, (resolution,) * 3)
        if symmetry.mirrored:
            x = resolution - x
        for _ in range(symmetry.quarter_turns % 4):
            x, y = resolution - y, x
        known = (x < resolution) & (y < resolution)
        flat = (x * resolution + y) * resolution + z
        return np.where(known, flat, 0), known
