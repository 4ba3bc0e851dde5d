"""A box anywhere in the workspace: the region in which grasps are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import RigidTransform


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """Pose of its centre in the workspace, and full side lengths [3] in metres.

    Raises ValueError for side lengths that are not positive and finite.
    """

    T_workspace_box: RigidTransform
    size_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.size_m).all() and (self.size_m > 0.0).all()):
            raise ValueError(f"the sides of a region must be positive metres, not {self.size_m.tolist()}")

    def contains(self, points_m: ArrayLike) -> NDArray[np.bool_]:
        """Whether workspace points [N, 3] lie in the box, faces included."""
        in_box = np.asarray(self.T_workspace_box.inv().apply(np.asarray(points_m, dtype=np.float64)))
        return np.asarray((np.abs(in_box) <= 0.5 * self.size_m).all(axis=-1))
