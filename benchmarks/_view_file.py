"""The depth view that a benchmark hands to a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception import DepthView, PinholeCamera


def write_view(file: Path, view: DepthView) -> None:
    """Write it as .npz."""
    camera = view.camera
    np.savez(
        file,
        depth_m=view.depth_m,
        camera=np.array([camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy]),
        T_camera_workspace=view.T_camera_workspace.as_matrix(),
    )


def read_view(file: Path) -> DepthView:
    """Read what `write_view` wrote."""
    with np.load(file) as stored:
        width, height, fx, fy, cx, cy = stored["camera"].tolist()
        camera = PinholeCamera(int(width), int(height), fx, fy, cx, cy)
        return DepthView(stored["depth_m"], camera, RigidTransform.from_matrix(stored["T_camera_workspace"]))
