"""Fusing depth images many times: the same TSDF as `tsdf.fuse`, at a fraction of its cost.

Training sees every scene again and again with fresh noise but mostly from the same camera, so which pixel each voxel
looks at is worked out once for each camera pose. What remains is one gather and some arithmetic for each image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import PinholeCamera
from giga_perception.depth_noise import BUMP_GRID_FACTOR
from giga_perception.tsdf import MAX_DEPTH_M, TRUNCATION_VOXELS, TSDF_RESOLUTION
from giga_perception.workspace import WORKSPACE_SIZE_M

# As in tsdf.py: the network sees 0 at signed distances (in truncation lengths) outside of this.
_SURFACE_BAND = np.float32(0.98)


@dataclass(frozen=True, eq=False)
class ProjectiveFusion:
    """Voxels of the workspace projected into one camera.

    Only the part of the image that shows the workspace is wanted: `crop` cuts it out. Its borders lie on multiples of
    the noise grid's step, so noise may be added after cropping.
    """

    resolution: int
    rows: slice
    columns: slice
    pixels: NDArray[np.int32]
    """[V] flat index into the cropped image of the pixel that each visible voxel falls on."""
    voxels: NDArray[np.int32]
    """[V] flat index of each visible voxel."""
    depths_m: NDArray[np.float32]
    """[V] depth of each visible voxel's centre."""
    ray_stretch: NDArray[np.float32]
    """[V] distance along the pixel's ray for a unit of depth."""

    def crop(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of a full image [H, W] that `fuse_value` takes."""
        return depth_m[self.rows, self.columns]

    def fuse_value(self, cropped_depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """TSDF values [R, R, R], index order x, y, z, of one cropped image; equal to `tsdf.fuse([view]).value`."""
        distance, read = self._distances(cropped_depth_m)
        # NaN compares false, so an invalid reading is dropped here too.
        usable = read & (distance >= -_SURFACE_BAND) & (distance < _SURFACE_BAND)
        value = np.zeros(self.resolution**3, dtype=np.float32)
        value[self.voxels[usable]] = (distance[usable] + np.float32(1)) / np.float32(2)
        return value.reshape(self.resolution, self.resolution, self.resolution)

    def integrate(
        self, cropped_depth_m: NDArray[np.float32], mean: NDArray[np.float32], count: NDArray[np.float32]
    ) -> None:
        """Add an image to running means of truncated distances, in truncation lengths, and their counts: both [R^3]."""
        distance, read = self._distances(cropped_depth_m)
        usable = read & (distance > -1)
        voxels = self.voxels[usable]
        new = np.minimum(distance[usable], np.float32(1))
        mean[voxels] = (mean[voxels] * count[voxels] + new) / (count[voxels] + 1)
        count[voxels] += 1

    def _distances(self, cropped_depth_m: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Signed distance of each visible voxel along its ray, in truncation lengths, and where there is a reading."""
        depth_m = cropped_depth_m.reshape(-1)[self.pixels]
        truncation_m = np.float32(TRUNCATION_VOXELS * WORKSPACE_SIZE_M / self.resolution)
        distance = (depth_m - self.depths_m) * self.ray_stretch / truncation_m
        return distance, (depth_m > 0) & (depth_m < MAX_DEPTH_M)


def fuse_values(views: Sequence[tuple[ProjectiveFusion, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """TSDF values [R, R, R] of several cropped images; equal to `tsdf.fuse(views).value`.

    All projections have one resolution. Raises ValueError for no views.
    """
    if not views:
        raise ValueError("fusing needs at least one view")
    resolution = views[0][0].resolution
    mean, count = np.zeros((2, resolution**3), dtype=np.float32)
    for fusion, cropped_depth_m in views:
        fusion.integrate(cropped_depth_m, mean, count)
    surface = (count > 0) & (mean >= -_SURFACE_BAND) & (mean < _SURFACE_BAND)
    value = np.where(surface, (mean + np.float32(1)) / np.float32(2), np.float32(0))
    return value.reshape(resolution, resolution, resolution)


def projective_fusion(
    camera: PinholeCamera, T_camera_workspace: RigidTransform, resolution: int = TSDF_RESOLUTION
) -> ProjectiveFusion:
    """The projection for a camera and its pose; the last few are kept. Raises ValueError when no voxel is in view."""
    return _projective_fusion(camera, T_camera_workspace.as_matrix().tobytes(), resolution)


@functools.lru_cache(maxsize=16)
def _projective_fusion(camera: PinholeCamera, matrix_bytes: bytes, resolution: int) -> ProjectiveFusion:
    seen = _visible_voxels(camera, np.frombuffer(matrix_bytes, dtype=np.float64).reshape(4, 4), resolution)
    return _cropped(
        camera, resolution, seen, _aligned_range(seen[1], camera.height), _aligned_range(seen[2], camera.width)
    )


def workspace_window(camera: PinholeCamera, T_camera_workspace: RigidTransform) -> tuple[slice, slice]:
    """Rows and columns of the image that show the workspace, found from its corners alone: next to no work.

    The whole image when the camera stands in the workspace or in the plane of one of its corners.
    """
    ends = (0.0, WORKSPACE_SIZE_M)
    corners = T_camera_workspace.apply(np.array([[x, y, z] for x in ends for y in ends for z in ends]))
    if corners[:, 2].min() <= 0.0:
        return slice(0, camera.height), slice(0, camera.width)
    # A pixel more on each side, for roundings.
    columns = camera.fx * corners[:, 0] / corners[:, 2] + camera.cx + 0.5
    rows = camera.fy * corners[:, 1] / corners[:, 2] + camera.cy + 0.5
    return tuple(  # type: ignore[return-value]  # two, as many as it goes over
        _aligned_range(np.clip([values.min() - 1.0, values.max() + 1.0], 0, size - 1).astype(np.int32), size)
        for values, size in ((rows, camera.height), (columns, camera.width))
    )


def window_fusion(
    camera: PinholeCamera, T_camera_workspace: RigidTransform, resolution: int = TSDF_RESOLUTION
) -> ProjectiveFusion:
    """The projection for images cropped to `workspace_window`, for a pose met once: nothing is kept.

    Raises ValueError when no voxel is in view.
    """
    seen = _visible_voxels(camera, T_camera_workspace.as_matrix(), resolution)
    return _cropped(camera, resolution, seen, *workspace_window(camera, T_camera_workspace))


# Flat indices of the voxels in view, the row and the column that each falls on, and its depth in metres.
_Seen = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]


def _visible_voxels(camera: PinholeCamera, matrix: NDArray[np.float64], resolution: int) -> _Seen:
    voxel_m = np.float32(WORKSPACE_SIZE_M / resolution)
    x, y, z = _voxel_centres_in_camera(matrix.astype(np.float32), voxel_m, resolution)
    in_front = z > 0
    safe_z = np.where(in_front, z, np.float32(1))
    half = np.float32(0.5)
    column_exact = x * np.float32(camera.fx) / safe_z + np.float32(camera.cx) + half
    row_exact = y * np.float32(camera.fy) / safe_z + np.float32(camera.cy) + half
    # Open3D keeps this far from the image's border.
    margin = np.float32(1e-4)
    visible = in_front & (column_exact >= margin) & (column_exact < camera.width - margin)
    visible &= (row_exact >= margin) & (row_exact < camera.height - margin)
    if not visible.any():
        raise ValueError("the camera sees no part of the workspace: check T_camera_workspace and the intrinsics")
    voxels = np.flatnonzero(visible.reshape(-1)).astype(np.int32)
    return voxels, row_exact[visible].astype(np.int32), column_exact[visible].astype(np.int32), z[visible]


def _cropped(camera: PinholeCamera, resolution: int, seen: _Seen, rows: slice, columns: slice) -> ProjectiveFusion:
    voxels, row, column, depths_m = seen
    slope_x = (column - camera.cx) / camera.fx
    slope_y = (row - camera.cy) / camera.fy
    return ProjectiveFusion(
        resolution=resolution,
        rows=rows,
        columns=columns,
        pixels=((row - rows.start) * (columns.stop - columns.start) + column - columns.start).astype(np.int32),
        voxels=voxels,
        depths_m=depths_m,
        ray_stretch=np.sqrt(slope_x**2 + slope_y**2 + 1.0).astype(np.float32),
    )


def _voxel_centres_in_camera(
    T_camera_workspace: NDArray[np.float32], voxel_m: np.float32, resolution: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates of all voxel centres, each [R, R, R].

    Rounding decides which of two pixels a voxel on their border takes, so this adds up in single precision along z, as
    Open3D does.
    """
    first = voxel_m / np.float32(2)
    along = first + voxel_m * np.arange(resolution, dtype=np.float32)
    grid_x, grid_y = np.meshgrid(along, along, indexing="ij")
    axes = []
    for axis in range(3):
        a, b, c, d = T_camera_workspace[axis]
        coordinate = np.full((resolution, resolution, resolution), c * voxel_m, dtype=np.float32)
        coordinate[:, :, 0] = a * grid_x + b * grid_y + c * first + d
        axes.append(np.cumsum(coordinate, axis=2, dtype=np.float32, out=coordinate))
    return axes[0], axes[1], axes[2]


def _aligned_range(indices: NDArray[np.int32], size: int) -> slice:
    start = int(indices.min()) // BUMP_GRID_FACTOR * BUMP_GRID_FACTOR
    stop = -(-(int(indices.max()) + 1) // BUMP_GRID_FACTOR) * BUMP_GRID_FACTOR
    return slice(start, min(stop, size))
