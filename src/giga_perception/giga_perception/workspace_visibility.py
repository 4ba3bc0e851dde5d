"""Whether a camera sees the workspace at all, before anything is looked for in its image."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import PinholeCamera
from giga_perception.workspace import WORKSPACE_SIZE_M

_POINTS_A_SIDE = 5


def why_workspace_unseen(camera: PinholeCamera, T_camera_workspace: RigidTransform) -> str | None:
    """Where the whole workspace lies when no part of it falls on the image: "outside the image" or "behind the camera".

    None when some of it does. Occlusion is not asked for.
    """
    side = np.linspace(0.0, WORKSPACE_SIZE_M, _POINTS_A_SIDE)
    points = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = np.asarray(T_camera_workspace.apply(points)).T
    in_front = z > 0.0
    if not in_front.any():
        return "behind the camera"
    depth = np.where(in_front, z, 1.0)
    column = camera.fx * x / depth + camera.cx
    row = camera.fy * y / depth + camera.cy
    seen = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return None if seen.any() else "outside the image"
