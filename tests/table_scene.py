"""A table with boxes as a depth camera sees it: the picture that the tests of perception feed to it."""

from __future__ import annotations

import numpy as np
import open3d as o3d
import torch
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.network import Giga
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

CAMERA = PinholeCamera(width=320, height=240, fx=270.0, fy=270.0, cx=160.0, cy=120.0)

BOXES = (
    ((0.10, 0.12, 0.08), (0.04, 0.05, 0.06)),
    ((0.20, 0.17, 0.09), (0.05, 0.04, 0.08)),
    ((0.13, 0.22, 0.075), (0.06, 0.03, 0.05)),
)
"""Centre and side lengths of each, in workspace metres."""


def side_view_pose() -> RigidTransform:
    """T_camera_workspace of a camera 0.6 m from the middle of the table, 60 degrees from the vertical."""
    eye, target = np.array([0.15, -0.37, 0.40]), np.array([0.15, 0.15, 0.10])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.array([1.0, 0.0, 0.0])
    rotation = Rotation.from_matrix(np.column_stack([right, np.cross(forward, right), forward]))
    return RigidTransform.from_components(eye, rotation).inv()


def pose_around(azimuth_deg: float) -> RigidTransform:
    """T_camera_workspace of a camera 0.6 m from the middle of the table, 40 degrees from the vertical."""
    turn = Rotation.from_euler("z", azimuth_deg, degrees=True)
    target = np.array([0.15, 0.15, 0.10])
    eye = target + turn.apply([0.0, -0.6 * np.sin(np.deg2rad(40.0)), 0.6 * np.cos(np.deg2rad(40.0))])
    forward = (target - eye) / 0.6
    right = turn.apply([1.0, 0.0, 0.0])
    rotation = Rotation.from_matrix(np.column_stack([right, np.cross(forward, right), forward]))
    return RigidTransform.from_components(eye, rotation).inv()


def table_view(
    boxes: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = BOXES,
    T_camera_workspace: RigidTransform | None = None,
) -> DepthView:
    """The depth image of these boxes on the table, from `side_view_pose` or from elsewhere; without noise."""
    scene = o3d.t.geometry.RaycastingScene()
    table = ((0.15, 0.15, TABLE_HEIGHT_M - 0.05), (2.0, 2.0, 0.1))
    for centre, size in (table, *boxes):
        mesh = o3d.geometry.TriangleMesh.create_box(*size)
        mesh.translate(np.array(centre) - 0.5 * np.array(size))
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))
    matrix = [[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]]
    T_camera_workspace = side_view_pose() if T_camera_workspace is None else T_camera_workspace
    rays = scene.create_rays_pinhole(
        o3d.core.Tensor(matrix, dtype=o3d.core.float64),
        o3d.core.Tensor(T_camera_workspace.as_matrix(), dtype=o3d.core.float64),
        CAMERA.width,
        CAMERA.height,
    )
    # Directions have a z of one in the camera's frame, so the ray's parameter is the depth.
    depth_m = scene.cast_rays(rays)["t_hit"].numpy()
    depth_m[~np.isfinite(depth_m)] = 0.0
    return DepthView(depth_m.astype(np.float32), CAMERA, T_camera_workspace)


def made_model(seed: int = 7) -> Giga:
    """A network of random weights whose widths the hand can hold, and whose qualities differ: it finds something."""
    torch.manual_seed(seed)
    model = Giga()
    with torch.no_grad():
        model.decoder_width.fc_out.weight.zero_()
        model.decoder_width.fc_out.bias.fill_(0.04 / WORKSPACE_SIZE_M)
        model.decoder_qual.fc_out.weight.mul_(10.0)
    return model
