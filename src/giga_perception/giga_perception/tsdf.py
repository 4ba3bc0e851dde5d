"""Depth images fused into a truncated signed distance function (TSDF) over the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from giga_perception.camera import DepthView
from giga_perception.workspace import WORKSPACE_SIZE_M

# Resolution the network was designed for: voxels along each side of the workspace.
TSDF_RESOLUTION = 40

# Distances are truncated at this many voxels.
TRUNCATION_VOXELS = 4.0

# Depth readings at this distance and beyond are dropped.
MAX_DEPTH_M = 2.0

# A signed distance outside this range (in truncation lengths) holds no surface; the network sees 0 there.
_SURFACE_BAND = 0.98


@dataclass(frozen=True, eq=False)
class TsdfGrid:
    """A TSDF over the workspace cube, indexed [x, y, z]; voxel i covers i to i + 1 voxels from the cube's lower corner.

    value: float32 [R, R, R]. 0.5 on the surface, towards 1 in front of it, towards 0 behind; exactly 0 where no surface
        is near, free or unseen alike (the network's input).
    weight: float32 [R, R, R], number of depth readings fused into the voxel; 0 = unseen.
    """

    value: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.value.ndim != 3 or len(set(self.value.shape)) != 1:
            raise ValueError(f"a TSDF grid must be a cube [R, R, R], got {self.value.shape}")
        if self.weight.shape != self.value.shape:
            raise ValueError(f"weight {self.weight.shape} and value {self.value.shape} differ in shape")

    @property
    def resolution(self) -> int:
        """Voxels along each side."""
        return int(self.value.shape[0])

    @property
    def voxel_m(self) -> float:
        """Side length of a voxel in metres."""
        return WORKSPACE_SIZE_M / self.resolution


def fuse(views: Sequence[DepthView], resolution: int = TSDF_RESOLUTION) -> TsdfGrid:
    """Integrate depth views, one after the other, into a TSDF of `resolution`^3 voxels over the workspace.

    Curless and Levoy's weighted average as Open3D does it. Readings that are not finite, not positive or at
    `MAX_DEPTH_M` and beyond are ignored. Raises ValueError for no views.
    """
    if not views:
        raise ValueError("fuse needs at least one depth view")
    volume = o3d.pipelines.integration.UniformTSDFVolume(
        length=WORKSPACE_SIZE_M,
        resolution=resolution,
        sdf_trunc=TRUNCATION_VOXELS * WORKSPACE_SIZE_M / resolution,
        color_type=o3d.pipelines.integration.TSDFVolumeColorType.NoColor,
    )
    for view in views:
        camera = view.camera
        usable = np.isfinite(view.depth_m) & (view.depth_m > 0) & (view.depth_m < MAX_DEPTH_M)
        image = o3d.geometry.RGBDImage()
        image.depth = o3d.geometry.Image(np.where(usable, view.depth_m, np.float32(0)))
        intrinsic = o3d.camera.PinholeCameraIntrinsic(
            camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
        )
        volume.integrate(image, intrinsic, view.T_camera_workspace.as_matrix())

    value_and_weight = np.asarray(volume.extract_volume_tsdf(), dtype=np.float32)
    signed_distance, weight = value_and_weight.T.reshape(2, resolution, resolution, resolution)
    near_surface = (weight > 0) & (signed_distance >= -_SURFACE_BAND) & (signed_distance < _SURFACE_BAND)
    value = np.where(near_surface, (signed_distance + np.float32(1)) / np.float32(2), np.float32(0))
    return TsdfGrid(value=value, weight=np.ascontiguousarray(weight))
