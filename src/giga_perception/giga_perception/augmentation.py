"""Symmetries of the workspace that turn one labelled scene into another, exactly: a mirror and quarter turns.

All act about the vertical axis through the cube's centre. On a grid they permute voxels: nothing is interpolated.
The side camera stands in the plane x = 0.15 m, so the mirror leaves its view as likely as before; a turn makes a
scene seen from another side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from giga_perception.workspace import WORKSPACE_SIZE_M


@dataclass(frozen=True)
class CubeSymmetry:
    """First mirror x about the cube's middle (if `mirrored`), then turn counterclockwise about z by `quarter_turns`."""

    quarter_turns: int = 0
    mirrored: bool = False

    def grid(self, grid: NDArray[np.float32]) -> NDArray[np.float32]:
        """A grid [R, R, R], index order x, y, z, of the transformed scene."""
        flipped = np.flip(grid, axis=0) if self.mirrored else grid
        return np.ascontiguousarray(np.rot90(flipped, k=self.quarter_turns, axes=(0, 1)))

    def points_m(self, points_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points [..., 3] of ``workspace`` in metres, where they come to lie."""
        centred = np.asarray(points_m) - np.float32(WORKSPACE_SIZE_M / 2)
        x, y, z = centred[..., 0], centred[..., 1], centred[..., 2]
        if self.mirrored:
            x = -x
        for _ in range(self.quarter_turns % 4):
            x, y = -y, x
        return np.stack([x, y, z], axis=-1).astype(np.float32) + np.float32(WORKSPACE_SIZE_M / 2)

    def rotations_xyzw(self, rotations_xyzw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Orientations [N, 4] of the grasps in the transformed scene, unit quaternions.

        A reflection M of the scene makes M R of an orientation R, which is no rotation. The hand is its own mirror
        image in x, so M R M is the same hand, and is a rotation: the quaternion (x, -y, -z, w).
        """
        quaternions = np.asarray(rotations_xyzw)
        if self.mirrored:
            quaternions = quaternions * np.array([1, -1, -1, 1], dtype=quaternions.dtype)
        if self.quarter_turns % 4 == 0 or len(quaternions) == 0:
            return quaternions.astype(np.float32)
        turn = Rotation.from_euler("z", 90.0 * self.quarter_turns, degrees=True)
        return (turn * Rotation.from_quat(quaternions)).as_quat().astype(np.float32)

    def inverse_rotations_xyzw(self, rotations_xyzw: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """What `rotations_xyzw` was made of: orientations [N, 4] in the transformed scene, back in the scene."""
        quaternions = np.asarray(rotations_xyzw, dtype=np.float64)
        if self.quarter_turns % 4 and len(quaternions):
            turn = Rotation.from_euler("z", -90.0 * self.quarter_turns, degrees=True)
            quaternions = (turn * Rotation.from_quat(quaternions)).as_quat()
        return quaternions * np.array([1.0, -1.0, -1.0, 1.0]) if self.mirrored else quaternions


IDENTITY = CubeSymmetry()

AUGMENTATIONS: dict[str, tuple[CubeSymmetry, ...]] = {
    "none": (IDENTITY,),
    "mirror": tuple(CubeSymmetry(mirrored=mirrored) for mirrored in (False, True)),
    "turn": tuple(CubeSymmetry(turns, mirrored) for turns in range(4) for mirrored in (False, True)),
}
"""Names for the recipe. "mirror" keeps the camera's side, "turn" looks from all four sides as well."""
