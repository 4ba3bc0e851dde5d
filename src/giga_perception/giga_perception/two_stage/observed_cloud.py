"""What depth views show of the workspace, as points with normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from giga_perception.camera import DepthView, pixel_rays
from giga_perception.table_levelling import levelled
from giga_perception.tsdf import MAX_DEPTH_M
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

FloatArray = NDArray[np.float32]

POINT_SPACING_M = 0.005
# An image this wide shows the objects well enough: of a wider one only every so many pixels are looked at.
_ENOUGH_COLUMNS = 320
# Readings are averaged with neighbours of about the same depth: noise is some millimetres, steps are centimetres.
_SMOOTHING_PIXELS = 7
_SMOOTHING_DEPTH_M = 0.015
_SMOOTHING_SIGMA_PIXELS = 3.0
_NORMAL_RADIUS_M = 0.015
_NORMAL_NEIGHBOURS = 30
# Points up to this high are the table.
_TABLE_MARGIN_M = 0.007


@dataclass(frozen=True, eq=False)
class ObservedCloud:
    """N seen points of the workspace: points_m [N, 3], normals [N, 3] towards the camera, on_table [N]."""

    points_m: FloatArray
    normals: FloatArray
    on_table: NDArray[np.bool_]

    def off_table(self) -> ObservedCloud:
        """Only what does not belong to the table."""
        chosen = ~self.on_table
        return ObservedCloud(self.points_m[chosen], self.normals[chosen], self.on_table[chosen])


def observe(views: Sequence[DepthView]) -> ObservedCloud:
    """The points of depth views (at least one) that lie in the cube, about POINT_SPACING_M apart.

    Each view is scaled first so that the table is where it stands (`table_levelling`).
    """
    if not views:
        raise ValueError("observe needs at least one depth view")
    parts = [_of_view(levelled(view)) for view in views]
    points = np.concatenate([points for points, _ in parts])
    normals = np.concatenate([normals for _, normals in parts])
    return ObservedCloud(points, normals, points[:, 2] < TABLE_HEIGHT_M + _TABLE_MARGIN_M)


def _of_view(view: DepthView) -> tuple[FloatArray, FloatArray]:
    camera, T_workspace_camera = view.camera, view.T_camera_workspace.inv()
    step = max(1, camera.width // _ENOUGH_COLUMNS)
    depth_m = np.ascontiguousarray(view.depth_m[::step, ::step])
    usable = np.isfinite(depth_m) & (depth_m > 0.0) & (depth_m < MAX_DEPTH_M)
    depth_m = np.where(usable, depth_m, np.float32(0))
    smooth_m = cv2.bilateralFilter(depth_m, _SMOOTHING_PIXELS, _SMOOTHING_DEPTH_M, _SMOOTHING_SIGMA_PIXELS)
    rows, columns = np.nonzero(usable)
    z = smooth_m[rows, columns].astype(np.float64)
    rays = pixel_rays(camera, rows * step, columns * step)
    points = np.asarray(T_workspace_camera.apply(rays * z[:, None])).reshape(-1, 3)
    eye = np.asarray(T_workspace_camera.translation)
    inside = np.all((points >= 0.0) & (points <= WORKSPACE_SIZE_M), axis=1)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points[inside]))
    cloud = cloud.voxel_down_sample(POINT_SPACING_M)
    if not cloud.has_points():
        return np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.float32)
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(_NORMAL_RADIUS_M, _NORMAL_NEIGHBOURS))
    cloud.orient_normals_towards_camera_location(eye)
    return np.asarray(cloud.points).astype(np.float32), np.asarray(cloud.normals).astype(np.float32)
