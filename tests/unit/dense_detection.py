"""Detection as the paper describes it, every head asked at every voxel: what the fast path is held against."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from giga_perception import Giga, TsdfGrid


def dense_detection(
    model: Giga, tsdf: TsdfGrid, mask_tsdf: TsdfGrid, threshold: float, out_threshold: float
) -> tuple[NDArray[np.float32], list[tuple[float, NDArray[np.float64], float]]]:
    """The protocol's steps as they are written, on every voxel: quality volume and (quality, grasp pose, width_m)."""
    resolution, voxel_m = mask_tsdf.resolution, mask_tsdf.voxel_m
    axis = torch.arange(resolution) / resolution - 0.5
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 3)
    with torch.no_grad():
        planes = model.encode(torch.from_numpy(tsdf.value)[None])
        quality = torch.sigmoid(model.quality_logits(planes, points)).numpy().reshape((resolution,) * 3)
        quaternion = model.rotations(planes, points).numpy().reshape((resolution,) * 3 + (4,))
        width = model.widths(planes, points).numpy().reshape((resolution,) * 3)
    quality = ndimage.gaussian_filter(quality, sigma=1.0, mode="nearest")
    far, near = mask_tsdf.value > out_threshold, (mask_tsdf.value > 1e-3) & (mask_tsdf.value < out_threshold)
    quality[~ndimage.binary_dilation(far, iterations=2, mask=~near)] = 0
    quality[(width < 0.033) | (width > 0.233)] = 0
    side, bottom = int(0.02 / voxel_m), int(0.055 / voxel_m)
    quality[:side] = quality[-side:] = quality[:, :side] = quality[:, -side:] = quality[:, :, :bottom] = 0
    chosen = np.where(quality >= max(threshold, 0.5), quality, 0)
    chosen[chosen != ndimage.maximum_filter(chosen, size=4)] = 0
    grasps = []
    for index in sorted(zip(*np.nonzero(chosen), strict=True), key=lambda voxel: -chosen[voxel]):
        pose = np.eye(4)
        pose[:3, 3] = np.array(index) * voxel_m
        x, y, z, w = quaternion[index].astype(float)
        pose[:3, 0] = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)
        pose[:3, 1] = 2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)
        pose[:3, 2] = 2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)
        pose[:3, 3] += 0.0414 * pose[:3, 2]
        grasps.append((float(chosen[index]), pose, float(width[index]) * 0.3))
    return quality, grasps
