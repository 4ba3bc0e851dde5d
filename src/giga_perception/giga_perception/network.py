"""The GIGA networks: one TSDF in, feature planes in between, grasps and occupancy at any point out (paper, section IV).

Layer names follow the authors' released code, so that their weights load unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from giga_perception.model_kinds import GIGA, GIGA_FAMILY, ModelKind
from giga_perception.unet import UNet

if TYPE_CHECKING:
    from giga_perception.scene_query import SceneQuery

# Channels of a feature plane, width of a decoder and its number of blocks.
PLANE_CHANNELS = 32
DECODER_CHANNELS = 32
DECODER_BLOCKS = 5

# The planes in the order in which their features are concatenated: axes (first, second) of each, as indices of x, y, z.
# A plane is stored [channel, second, first].
PLANE_AXES = ((0, 2), (0, 1), (1, 2))

# Cube coordinates run from -0.5 to 0.5. This shrinks them a little, so that the far side still falls on the plane.
_COORDINATE_PADDING = 1e-5


@dataclass(frozen=True, eq=False)
class GraspPrediction:
    """What a network says about B x N grasp centres.

    quality_logits: [B, N], before the sigmoid. rotations: [B, N, 4], unit quaternions x, y, z, w.
    widths: [B, N], in cubes (times WORKSPACE_SIZE_M gives metres).
    """

    quality_logits: Tensor
    rotations: Tensor
    widths: Tensor


@dataclass(frozen=True, eq=False)
class ScenePrediction:
    """What a network says about B scenes; None where it has no heads for it.

    grasps: about N grasp centres of each. occupancy_logits: [B, M], about M points of each, before the sigmoid.
    """

    grasps: GraspPrediction | None
    occupancy_logits: Tensor | None


def plane_coordinates(points: Tensor) -> Tensor:
    """Map cube coordinates (-0.5 to 0.5, any shape) to plane coordinates (0 to just below 1), clamped to the plane."""
    return (points / (1.0 + _COORDINATE_PADDING) + 0.5).clamp(0.0, 1.0 - _COORDINATE_PADDING)


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """Bilinear features of points.

    planes: [B, 3, C, R, R] in the order and layout of PLANE_AXES. points: [B, N, 3] in cube coordinates.
    Returns [B, N, 3 * C]: the planes' features one after the other.
    """
    batch, plane_count, channels, height, width = planes.shape
    count = points.shape[1]
    # grid_sample takes (column, row) = (first, second) from -1 to 1.
    grid = torch.stack([points[..., list(axes)] for axes in PLANE_AXES], dim=1)
    grid = 2.0 * plane_coordinates(grid) - 1.0
    sampled = functional.grid_sample(
        planes.reshape(batch * plane_count, channels, height, width),
        grid.reshape(batch * plane_count, count, 1, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    sampled = sampled.reshape(batch, plane_count, channels, count)
    return sampled.permute(0, 3, 1, 2).reshape(batch, count, plane_count * channels)


class Giga(nn.Module):
    """GIGA (581,863 parameters), or one of its variants with fewer heads: see `giga_perception.model_kinds`.

    A head that the description leaves out does not exist; what would ask it raises ValueError.
    """

    def __init__(self, description: ModelKind = GIGA) -> None:
        if description not in GIGA_FAMILY:
            raise ValueError(f"{description.title} is no GIGA network: {', '.join(kind.title for kind in GIGA_FAMILY)}")
        super().__init__()
        self.description = description
        self.encoder = PlaneEncoder()
        if description.has_grasps:
            self.decoder_qual = PointDecoder(outputs=1)
            self.decoder_rot = PointDecoder(outputs=4)
            self.decoder_width = PointDecoder(outputs=1)
        if description.has_geometry:
            self.decoder_tsdf = PointDecoder(outputs=1)

    @property
    def kind(self) -> str:
        """The name of its kind, as in a model file."""
        return self.description.name

    @property
    def has_grasps(self) -> bool:
        """Whether it predicts grasps."""
        return self.description.has_grasps

    @property
    def has_geometry(self) -> bool:
        """Whether it predicts occupancy."""
        return self.description.has_geometry

    def encode(self, tsdf: Tensor) -> Tensor:
        """Feature planes [B, 3, C, R, R] (see PLANE_AXES) of TSDF values [B, R, R, R], R a multiple of 4."""
        planes: Tensor = self.encoder(tsdf)
        return planes

    def quality_logits(self, planes: Tensor, points: Tensor) -> Tensor:
        """Grasp quality before the sigmoid, [B, N], at cube coordinates `points` [B, N, 3]."""
        features = self._grasp_features(planes, points)
        logits: Tensor = self.decoder_qual(points, features)
        return logits.squeeze(-1)

    def rotations(self, planes: Tensor, points: Tensor) -> Tensor:
        """Unit quaternions x, y, z, w of the grasps at `points` [B, N, 3]: [B, N, 4]."""
        features = self._grasp_features(planes, points)
        raw: Tensor = self.decoder_rot(points, features)
        return functional.normalize(raw, dim=-1)

    def widths(self, planes: Tensor, points: Tensor) -> Tensor:
        """Grasp widths in cubes, [B, N], at `points` [B, N, 3]."""
        features = self._grasp_features(planes, points)
        raw: Tensor = self.decoder_width(points, features)
        return raw.squeeze(-1)

    def occupancy_logits(self, planes: Tensor, points: Tensor) -> Tensor:
        """Occupancy before the sigmoid, [B, M], at `points` [B, M, 3]."""
        self.require_geometry()
        # What a detached head learns stops here.
        features = sample_planes(planes.detach() if self.description.detached else planes, points)
        logits: Tensor = self.decoder_tsdf(points, features)
        return logits.squeeze(-1)

    def predict(self, planes: Tensor, grasp_points: Tensor, occupancy_points: Tensor) -> ScenePrediction:
        """All heads from one encoding: grasps at `grasp_points` [B, N, 3], occupancy at `occupancy_points` [B, M, 3].

        Points are in cube coordinates, -0.5 to 0.5 (workspace metres / WORKSPACE_SIZE_M - 0.5).
        """
        grasps = None
        if self.has_grasps:
            # The three grasp heads look at the same points, so they share one sampling.
            features = self._grasp_features(planes, grasp_points)
            grasps = GraspPrediction(
                quality_logits=self.decoder_qual(grasp_points, features).squeeze(-1),
                rotations=functional.normalize(self.decoder_rot(grasp_points, features), dim=-1),
                widths=self.decoder_width(grasp_points, features).squeeze(-1),
            )
        occupancy = self.occupancy_logits(planes, occupancy_points) if self.has_geometry else None
        return ScenePrediction(grasps, occupancy)

    def forward(self, tsdf: Tensor, grasp_points: Tensor, occupancy_points: Tensor) -> ScenePrediction:
        """`predict` from TSDF values [B, R, R, R]."""
        return self.predict(self.encode(tsdf), grasp_points, occupancy_points)

    def check_resolution(self, resolution: int) -> None:
        """Any will do: its heads answer at any point of space."""

    def scene(self, tsdf: NDArray[np.float32], resolution: int) -> SceneQuery:
        """Encodes one TSDF [R, R, R], to be asked for grasps at the points of a grid of this resolution.

        Any resolution: 40 is GIGA, 60 the paper's GIGA (HR). Raises ValueError when there are no grasp heads.
        """
        from giga_perception.grid_query import GridSceneQuery
        from giga_perception.scene_encoding import encode_scene

        self._require_grasps()
        return GridSceneQuery(self, encode_scene(self, tsdf), resolution)

    def _grasp_features(self, planes: Tensor, points: Tensor) -> Tensor:
        self._require_grasps()
        return sample_planes(planes, points)

    def require_geometry(self) -> None:
        """Raises ValueError when there is no geometry head."""
        if not self.has_geometry:
            raise ValueError(f"a {self.description.title} model predicts no occupancy: it has no geometry head")

    def _require_grasps(self) -> None:
        if not self.has_grasps:
            raise ValueError(f"a {self.description.title} model predicts no grasps: it has a geometry head only")


class PlaneEncoder(nn.Module):
    """A 3D convolution, its means along each axis, and one U-Net shared by the three resulting planes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv3d(1, PLANE_CHANNELS, kernel_size=3, padding=1)
        self.unet = UNet(PLANE_CHANNELS)

    def forward(self, tsdf: Tensor) -> Tensor:
        if tsdf.ndim != 4 or tsdf.shape[1] % 4 != 0 or len(set(tsdf.shape[1:])) != 1:
            raise ValueError(f"TSDF must be [B, R, R, R] with R a multiple of 4, got {tuple(tsdf.shape)}")
        features = functional.relu(self.conv_in(tsdf.unsqueeze(1)))
        planes = []
        for first, second in PLANE_AXES:
            dropped = 3 - first - second
            # The mean leaves [B, C, first, second].
            planes.append(features.mean(dim=2 + dropped).transpose(-1, -2))
        stacked = torch.stack(planes, dim=1)
        refined: Tensor = self.unet(stacked.flatten(0, 1))
        return refined.reshape(stacked.shape)


class PointDecoder(nn.Module):
    """A head: a residual network on a point, given its plane features before every block."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        features = len(PLANE_AXES) * PLANE_CHANNELS
        self.fc_c = nn.ModuleList([nn.Linear(features, DECODER_CHANNELS) for _ in range(DECODER_BLOCKS)])
        self.fc_p = nn.Linear(3, DECODER_CHANNELS)
        self.blocks = nn.ModuleList([ResidualBlock() for _ in range(DECODER_BLOCKS)])
        self.fc_out = nn.Linear(DECODER_CHANNELS, outputs)

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """points [..., 3] in cube coordinates and their features [..., 96] -> [..., outputs]."""
        conditions = functional.linear(features, self.condition_weight(), self.condition_bias())
        return self.decode(self.fc_p(points), conditions)

    def condition_weight(self) -> Tensor:
        """The weights of all fc_c, one below the other: [blocks * 32, 96]."""
        return torch.cat([layer.get_parameter("weight") for layer in self.fc_c])

    def condition_bias(self) -> Tensor:
        """The biases of all fc_c: [blocks * 32]."""
        return torch.cat([layer.get_parameter("bias") for layer in self.fc_c])

    def decode(self, net: Tensor, conditions: Tensor) -> Tensor:
        """The rest of a head once everything linear in its inputs is known.

        net: [..., 32], the embedded point. conditions: [..., blocks * 32], what each block adds before it runs.
        """
        for block, condition in zip(self.blocks, conditions.split(DECODER_CHANNELS, dim=-1), strict=True):
            net = block(net + condition)
        result: Tensor = self.fc_out(functional.relu(net))
        return result


class ResidualBlock(nn.Module):
    """x + fc_1(relu(fc_0(relu(x))))."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_0 = nn.Linear(DECODER_CHANNELS, DECODER_CHANNELS)
        self.fc_1 = nn.Linear(DECODER_CHANNELS, DECODER_CHANNELS)
        # A block starts as the identity.
        nn.init.zeros_(self.fc_1.weight)

    def forward(self, net: Tensor) -> Tensor:
        change: Tensor = self.fc_1(functional.relu(self.fc_0(functional.relu(net))))
        return net + change
