"""A recorded depth image with its intrinsics and extrinsics, read and checked together."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from giga_perception.camera import DepthView
from giga_perception.camera_file import read_camera, read_T_camera_workspace
from giga_perception.depth_file import MILLIMETRE_M, read_depth_m
from giga_perception.input_file import InputFileError
from giga_perception.workspace import WORKSPACE_SIZE_M


def read_depth_view(
    depth_path: Path, intrinsics_path: Path, extrinsics_path: Path, count_m: float = MILLIMETRE_M
) -> DepthView:
    """Read all three files and check that they belong together.

    Raises `InputFileError` for the first thing that is wrong, also when the camera does not see the workspace.
    """
    depth_m = read_depth_m(depth_path, count_m)
    height, width = depth_m.shape
    camera = read_camera(intrinsics_path, width, height)
    T_camera_workspace = read_T_camera_workspace(extrinsics_path)
    view = DepthView(depth_m=depth_m, camera=camera, T_camera_workspace=T_camera_workspace)
    _check_workspace_in_view(view, extrinsics_path)
    return view


def _check_workspace_in_view(view: DepthView, path: Path) -> None:
    side = np.linspace(0.0, WORKSPACE_SIZE_M, 5)
    points = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = np.asarray(view.T_camera_workspace.apply(points)).T
    camera = view.camera
    in_front = z > 0.0
    depth = np.where(in_front, z, 1.0)
    column = camera.fx * x / depth + camera.cx
    row = camera.fy * y / depth + camera.cy
    seen = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    if not seen.any():
        where = "outside the image" if in_front.any() else "behind the camera"
        raise InputFileError(
            f"{path}: with this pose the whole workspace lies {where}; are T_camera_workspace and T_workspace_camera "
            "swapped, or is the camera's frame not the optical one (z forward, x right, y down)?"
        )
