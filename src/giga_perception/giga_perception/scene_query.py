"""What a detector asks of a network, whichever of the family it is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
VoxelIndices = NDArray[np.intp]
"""[N] flat indices (x * n + y) * n + z of the points of an n x n x n grid, each at its voxel's lower corner."""


class SceneQuery(Protocol):
    """One encoded scene, asked about grasps centred at points of its grid."""

    def quality(self, voxels: VoxelIndices) -> FloatArray:
        """[N] probability that a grasp centred there holds, before any smoothing."""

    def width(self, voxels: VoxelIndices) -> FloatArray:
        """[N] distance between the finger pads while they hold, in cubes (times WORKSPACE_SIZE_M: metres)."""

    def rotation(self, voxels: VoxelIndices) -> FloatArray:
        """[N, 4] unit quaternions x, y, z, w of the grasp-origin frame (z approach, y closing axis) in `workspace`."""


class GraspNetwork(Protocol):
    """A network that can be asked for grasps: every model of the family, and VGN."""

    @property
    def kind(self) -> str:
        """Its name in a model file: giga, giga-aff, giga-geo, giga-detach, vgn."""

    @property
    def has_grasps(self) -> bool:
        """Whether it predicts grasps at all."""

    @property
    def has_geometry(self) -> bool:
        """Whether it predicts occupancy, and so can reconstruct."""

    def check_resolution(self, resolution: int) -> None:
        """Raises ValueError, saying which it offers, when it cannot answer on a grid of this resolution."""

    def scene(self, tsdf: FloatArray, resolution: int) -> SceneQuery:
        """Encodes the TSDF [R, R, R] and returns what answers at the points of a grid of this resolution.

        Raises ValueError as `check_resolution` does.
        """
