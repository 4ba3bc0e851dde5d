"""A recorded depth image with its intrinsics and extrinsics, read and checked together."""

from __future__ import annotations

from pathlib import Path

from giga_perception.camera import DepthView
from giga_perception.camera_file import read_camera, read_T_camera_workspace
from giga_perception.depth_file import MILLIMETRE_M, read_depth_m
from giga_perception.input_file import InputFileError
from giga_perception.workspace_visibility import why_workspace_unseen


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
    where = why_workspace_unseen(view.camera, view.T_camera_workspace)
    if where is not None:
        raise InputFileError(
            f"{path}: with this pose the whole workspace lies {where}; are T_camera_workspace and T_workspace_camera "
            "swapped, or is the camera's frame not the optical one (z forward, x right, y down)?"
        )
