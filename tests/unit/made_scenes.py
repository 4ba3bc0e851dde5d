"""Scenes whose truth is known: boxes on a table, seen by a simulated depth camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import TABLE_HEIGHT_M, DepthView, PinholeCamera

# A quarter of the paper's image, with the same field of view.
SMALL_CAMERA = PinholeCamera(width=320, height=240, fx=270.0, fy=270.0, cx=160.0, cy=120.0)

# Lower corner and size, in workspace metres.
Box = tuple[tuple[float, float, float], tuple[float, float, float]]
TALL_BOX: Box = ((0.13, 0.12, TABLE_HEIGHT_M), (0.04, 0.06, 0.10))
LOW_BOX: Box = ((0.20, 0.19, TABLE_HEIGHT_M), (0.05, 0.05, 0.04))


def side_view_pose(theta_deg: float = 60.0, distance_m: float = 0.6) -> RigidTransform:
    """T_camera_workspace of the paper's side view: looking at (0.15, 0.15, 0.10) from the side of small y."""
    # The optical axis starts pointing down (x along the workspace's x), then tilts up by theta about x.
    R_workspace_camera = Rotation.from_euler("x", 180.0 + theta_deg, degrees=True)
    target_m = np.array([0.15, 0.15, 0.10])
    position_m = target_m - distance_m * R_workspace_camera.apply([0.0, 0.0, 1.0])
    return RigidTransform.from_components(position_m, R_workspace_camera).inv()


def rendered(boxes: Sequence[Box], camera: PinholeCamera = SMALL_CAMERA) -> DepthView:
    """The side view of these boxes on the table."""
    scene = o3d.t.geometry.RaycastingScene()
    table: Box = ((-0.5, -0.5, TABLE_HEIGHT_M - 0.02), (1.3, 1.3, 0.02))
    for corner_m, size_m in [table, *boxes]:
        mesh = o3d.t.geometry.TriangleMesh.create_box(*size_m).translate(np.array(corner_m, dtype=np.float32))
        scene.add_triangles(mesh)
    T_camera_workspace = side_view_pose()
    K = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    rays = o3d.t.geometry.RaycastingScene.create_rays_pinhole(
        K, T_camera_workspace.as_matrix(), camera.width, camera.height
    )
    # Such rays have length one along the optical axis, so what they travel is the depth.
    depth_m: NDArray[np.float32] = scene.cast_rays(rays)["t_hit"].numpy()
    return DepthView(np.where(np.isfinite(depth_m), depth_m, np.float32(0)), camera, T_camera_workspace)
