"""VGN, the paper's volumetric sibling: a 3D CNN from a 40^3 TSDF to a grasp at each of its voxels.

Layer names follow the authors' released code, so that their weights load unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from giga_perception.model_kinds import VGN, ModelKind
from giga_perception.network import GraspPrediction, ScenePrediction
from giga_perception.scene_query import SceneQuery, VoxelIndices
from giga_perception.tsdf import TSDF_RESOLUTION

# Channels after each convolution of the encoder and of the decoder, and the sides of their kernels.
_ENCODER_CHANNELS = (16, 32, 64)
_ENCODER_KERNELS = (5, 3, 3)
_DECODER_CHANNELS = (64, 32, 16)
_DECODER_KERNELS = (3, 3, 5)
_HEAD_KERNEL = 5


@dataclass(frozen=True, eq=False)
class GraspVolumes:
    """A grasp at every voxel, which stands for its lower corner.

    quality_logits: [B, R, R, R], before the sigmoid. rotations: [B, 4, R, R, R], unit quaternions x, y, z, w.
    widths: [B, R, R, R], in cubes.
    """

    quality_logits: Tensor
    rotations: Tensor
    widths: Tensor


class Vgn(nn.Module):
    """VGN: 313,238 parameters."""

    description: ModelKind = VGN

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VolumeEncoder()
        self.decoder = VolumeDecoder()
        self.conv_qual = _convolution(_DECODER_CHANNELS[-1], 1, _HEAD_KERNEL)
        self.conv_rot = _convolution(_DECODER_CHANNELS[-1], 4, _HEAD_KERNEL)
        self.conv_width = _convolution(_DECODER_CHANNELS[-1], 1, _HEAD_KERNEL)

    @property
    def kind(self) -> str:
        """The name of its kind, as in a model file."""
        return self.description.name

    @property
    def has_grasps(self) -> bool:
        """VGN predicts grasps."""
        return self.description.has_grasps

    @property
    def has_geometry(self) -> bool:
        """VGN predicts no occupancy."""
        return self.description.has_geometry

    def volumes(self, tsdf: Tensor) -> GraspVolumes:
        """Grasps at all voxels of TSDF values [B, 40, 40, 40]."""
        if tsdf.ndim != 4 or tsdf.shape[1:] != (TSDF_RESOLUTION,) * 3:
            raise ValueError(f"VGN's TSDF must be [B{f', {TSDF_RESOLUTION}' * 3}], got {tuple(tsdf.shape)}")
        features = self.decoder(self.encoder(tsdf.unsqueeze(1)))
        heads = (self.conv_qual, self.conv_rot, self.conv_width)
        # The three heads read the same features, so they are one convolution.
        outputs = convolve_doubled(
            features,
            torch.cat([head.weight for head in heads]),
            torch.cat([head.get_parameter("bias") for head in heads]),
        )
        # Under autocast the convolutions are coarser; what follows is not.
        quality, rotation, width = outputs.float().split((1, 4, 1), dim=1)
        return GraspVolumes(
            quality_logits=quality.squeeze(1),
            rotations=functional.normalize(rotation, dim=1),
            # The network counts in voxels.
            widths=width.squeeze(1) / TSDF_RESOLUTION,
        )

    def predict(self, volumes: GraspVolumes, grasp_points: Tensor) -> ScenePrediction:
        """Grasps at the voxels whose lower corners are nearest to `grasp_points`, as VGN is trained.

        grasp_points: [B, N, 3] in cube coordinates, -0.5 to 0.5.
        """
        flat = nearest_voxels(grasp_points)
        rotations = volumes.rotations.flatten(2)
        return ScenePrediction(
            grasps=GraspPrediction(
                quality_logits=volumes.quality_logits.flatten(1).gather(1, flat),
                rotations=rotations.gather(2, flat[:, None].expand(-1, 4, -1)).transpose(1, 2),
                widths=volumes.widths.flatten(1).gather(1, flat),
            ),
            occupancy_logits=None,
        )

    def forward(self, tsdf: Tensor, grasp_points: Tensor, occupancy_points: Tensor) -> ScenePrediction:
        """`predict` from TSDF values [B, 40, 40, 40]. occupancy_points are not looked at: VGN has no geometry head."""
        del occupancy_points
        return self.predict(self.volumes(tsdf), grasp_points)

    def check_resolution(self, resolution: int) -> None:
        """Raises ValueError for any resolution but that of its TSDF."""
        if resolution != TSDF_RESOLUTION:
            raise ValueError(
                f"VGN has a grasp for each voxel of its {TSDF_RESOLUTION}^3 TSDF and none between: "
                f"ask it at resolution {TSDF_RESOLUTION}, not {resolution}, or use a GIGA model"
            )

    def scene(self, tsdf: NDArray[np.float32], resolution: int) -> SceneQuery:
        """Runs the network on one TSDF [40, 40, 40]; what it found answers at the points of a grid of 40 a side.

        Raises ValueError for another resolution.
        """
        self.check_resolution(resolution)
        with torch.inference_mode():
            volumes = self.volumes(torch.from_numpy(tsdf)[None].to(self.conv_qual.weight.device))
            return VolumeQuery(
                qualities=volumes.quality_logits.sigmoid().reshape(-1).cpu().numpy(),
                widths_cubes=volumes.widths.reshape(-1).cpu().numpy(),
                rotations_xyzw=volumes.rotations[0].flatten(1).T.contiguous().cpu().numpy(),
            )


@dataclass(frozen=True, eq=False)
class VolumeQuery:
    """VGN's answers for one scene; satisfies `giga_perception.scene_query.SceneQuery`.

    qualities: [R^3]. widths_cubes: [R^3]. rotations_xyzw: [R^3, 4].
    """

    qualities: NDArray[np.float32]
    widths_cubes: NDArray[np.float32]
    rotations_xyzw: NDArray[np.float32]

    def quality(self, voxels: VoxelIndices) -> NDArray[np.float32]:
        """[N] probability that a grasp at these voxels holds."""
        return self.qualities[voxels]

    def width(self, voxels: VoxelIndices) -> NDArray[np.float32]:
        """[N] width in cubes."""
        return self.widths_cubes[voxels]

    def rotation(self, voxels: VoxelIndices) -> NDArray[np.float32]:
        """[N, 4] unit quaternions x, y, z, w."""
        return self.rotations_xyzw[voxels]


class VolumeEncoder(nn.Module):
    """Three strided convolutions, each halving the volume: [B, 1, R, R, R] -> [B, 64, R / 8, R / 8, R / 8]."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _ENCODER_CHANNELS
        self.conv1 = _convolution(1, first, _ENCODER_KERNELS[0], stride=2)
        self.conv2 = _convolution(first, second, _ENCODER_KERNELS[1], stride=2)
        self.conv3 = _convolution(second, third, _ENCODER_KERNELS[2], stride=2)

    def forward(self, volume: Tensor) -> Tensor:
        for convolution in (self.conv1, self.conv2, self.conv3):
            volume = functional.relu(convolution(volume))
        return volume


class VolumeDecoder(nn.Module):
    """Three convolutions with the volume doubled (nearest voxel) between: [B, 64, r, r, r] -> [B, 16, 4 r, 4 r, 4 r].

    The authors' decoder doubles once more at its end; here that belongs to the heads, which alone look at the result.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _DECODER_CHANNELS
        self.conv1 = _convolution(_ENCODER_CHANNELS[-1], first, _DECODER_KERNELS[0])
        self.conv2 = _convolution(first, second, _DECODER_KERNELS[1])
        self.conv3 = _convolution(second, third, _DECODER_KERNELS[2])

    def forward(self, volume: Tensor) -> Tensor:
        volume = functional.relu(self.conv1(volume))
        for convolution in (self.conv2, self.conv3):
            volume = functional.relu(convolve_doubled(volume, convolution.weight, convolution.get_parameter("bias")))
        return volume


def convolve_doubled(volume: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution of side 3 or 5 of the volume doubled to the nearest voxel, at a quarter of the arithmetic.

    volume: [B, C, R, R, R]. weight: [O, C, k, k, k]. Returns [B, O, 2R, 2R, 2R], what
    `conv3d(interpolate(volume, scale_factor=2), weight, bias, padding=k // 2)` returns up to rounding: the k^3 voxels
    under a kernel are copies of only 3^3, so their weights are added first. Which are copies of which depends on
    whether a voxel's coordinate is even or odd, so there are 2^3 kernels.
    """
    batch, _, *sides = volume.shape
    outputs, channels, size = weight.shape[:3]
    if size not in (3, 5):
        raise ValueError(f"the kernel's side must be 3 or 5, got {size}")
    # [2, 3, k]: whether, from an even or odd coordinate, tap k lands in the small voxel before, at or after it.
    parity, tap = torch.arange(2)[:, None], torch.arange(size) - size // 2
    lands = torch.div(parity + tap, 2, rounding_mode="floor") + 1
    folding = functional.one_hot(lands, 3).transpose(1, 2).to(weight)
    folded = torch.einsum("pxi,qyj,rzk,ocijk->opqrcxyz", folding, folding, folding, weight)
    result = functional.conv3d(volume, folded.reshape(outputs * 8, channels, 3, 3, 3), padding=1)
    # [B, O, 2, 2, 2, R, R, R] -> [B, O, R, 2, R, 2, R, 2].
    result = result.unflatten(1, (outputs, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return result.reshape(batch, outputs, *(2 * side for side in sides)) + bias[:, None, None, None]


def nearest_voxels(points: Tensor) -> Tensor:
    """Flat indices [B, N] of the voxels whose lower corners are nearest to cube coordinates [B, N, 3]."""
    index = ((points + 0.5) * TSDF_RESOLUTION).round().long().clamp(0, TSDF_RESOLUTION - 1)
    return (index[..., 0] * TSDF_RESOLUTION + index[..., 1]) * TSDF_RESOLUTION + index[..., 2]


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv3d:
    return nn.Conv3d(channels_in, channels_out, kernel_size=kernel, stride=stride, padding=kernel // 2)
