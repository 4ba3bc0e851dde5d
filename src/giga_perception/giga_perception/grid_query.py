"""A head asked about many points of one regular grid, far cheaper than point by point and to the same result.

Everything a decoder does with a point before its residual blocks is linear in the point and in its plane features:

    condition_k(p) = fc_c_k [F_xz(p), F_xy(p), F_yz(p)]  (+ fc_p(p) for the first block)

On a grid, a plane sees only R x R different points. So the products are formed once for every point of a plane, and a
voxel's sum is three rows looked up and added.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from giga_perception.network import DECODER_CHANNELS, PLANE_AXES, Giga, PointDecoder, plane_coordinates
from giga_perception.scene_query import FloatArray, VoxelIndices

# Points decoded at once on a CPU: few enough for a chunk's intermediate results to stay in its cache.
_CHUNK = 4096

GridIndices = tuple[NDArray[np.intp], ...]
"""Indices along x, y and z of N grid points, each [N]."""


def lower_corner_coordinates(resolution: int) -> Tensor:
    """Cube coordinates [R] of the voxels' lower corners along one axis, where grasp centres are asked for."""
    return torch.arange(resolution, dtype=torch.float32) / resolution - 0.5


class GridQuery:
    """The feature planes of one scene, sampled on the regular grid with these coordinates along each axis."""

    def __init__(self, planes: Tensor, coordinates: Tensor) -> None:
        """planes: [3, C, R, R] of one scene (`Giga.encode(...)[0]`). coordinates: [n] cube coordinates of the grid."""
        self._coordinates = coordinates.to(planes.device)
        self._resolution = coordinates.shape[0]
        interpolation = _interpolation_matrix(self._coordinates, planes.shape[-1])
        # [3, C, n, n]: second axis of the plane, then first, as in the planes.
        sampled = interpolation @ planes @ interpolation.T
        # [3, n * n, C]: one row of features for each (first, second).
        self._features = sampled.permute(0, 3, 2, 1).flatten(1, 2).contiguous()

    @torch.no_grad()
    def ask(self, decoder: PointDecoder, voxels: VoxelIndices) -> Tensor:
        """Raw head outputs [N, outputs] at the grid points with the given flat indices (x * n + y) * n + z, [N]."""
        answers = torch.empty(len(voxels), decoder.fc_out.out_features, device=self._coordinates.device)
        if len(voxels) == 0:
            return answers
        indices = np.unravel_index(voxels, (self._resolution,) * 3)
        if len(voxels) < self._resolution**2:
            # Fewer questions than a table has rows: the plain way is the cheaper one.
            return self._ask_plainly(decoder, indices)
        tables = self._tables(decoder)
        rows = self._table_rows(indices)
        chunk = len(voxels) if answers.is_cuda else _CHUNK
        for start in range(0, len(voxels), chunk):
            part = slice(start, start + chunk)
            # Three rows summed in one pass; looking them up one after the other takes ten times as long.
            conditions = functional.embedding_bag(rows[part], tables, mode="sum")
            _decode(decoder, conditions, answers[part])
        return answers

    def _ask_plainly(self, decoder: PointDecoder, indices: GridIndices) -> Tensor:
        """`ask` without tables: the decoder as it stands, on looked-up features."""
        points = self._coordinates[torch.from_numpy(np.stack(indices, axis=-1)).to(self._coordinates.device)]
        rows = self._table_rows(indices)
        features = self._features.flatten(0, 1)[rows].flatten(1)
        answers: Tensor = decoder(points, features)
        return answers

    def _table_rows(self, indices: GridIndices) -> Tensor:
        """Which rows of the flattened tables a voxel adds up: int64 [N, 3], one of each plane."""
        resolution = self._resolution
        rows = np.empty((len(indices[0]), len(PLANE_AXES)), dtype=np.int64)
        for plane, (first, second) in enumerate(PLANE_AXES):
            rows[:, plane] = (plane * resolution + indices[first]) * resolution + indices[second]
        return torch.from_numpy(rows).to(self._coordinates.device)

    def _tables(self, decoder: PointDecoder) -> Tensor:
        """What each plane's grid points contribute to all blocks of a head: [3 * n * n, blocks * 32]."""
        channels = self._features.shape[-1]
        weight = decoder.condition_weight().unflatten(1, (len(PLANE_AXES), channels)).transpose(0, 1)
        tables = torch.bmm(self._features, weight.transpose(1, 2))
        # Biases and the embedded point must enter once: x and z by way of plane xz, y by way of plane xy. What a block
        # adds last, the bias of its fc_1, is left out there and enters with the condition of the next block.
        late = [block.get_submodule("fc_1").get_parameter("bias") for block in decoder.blocks[:-1]]
        tables[0] += decoder.condition_bias() + torch.cat([torch.zeros_like(late[0]), *late])
        embedded_xz = (
            decoder.fc_p.weight[:, 0] * self._coordinates[:, None, None]
            + decoder.fc_p.weight[:, 2] * self._coordinates[None, :, None]
            + decoder.fc_p.bias
        )
        embedded_xy = (decoder.fc_p.weight[:, 1] * self._coordinates[:, None]).expand(self._resolution, -1, -1)
        tables[0, :, :DECODER_CHANNELS] += embedded_xz.flatten(0, 1)
        tables[1, :, :DECODER_CHANNELS] += embedded_xy.flatten(0, 1)
        return tables.flatten(0, 1)


class GridSceneQuery:
    """The grasp heads of one encoded scene, asked on the grid of voxels' lower corners; a `scene_query.SceneQuery`."""

    def __init__(self, model: Giga, planes: Tensor, resolution: int) -> None:
        """planes: [3, C, R, R] of one scene (`Giga.encode(...)[0]`). resolution: points along each side of the grid."""
        self._model = model
        self._planes = planes
        self._grid = GridQuery(planes, lower_corner_coordinates(resolution))

    def quality(self, voxels: VoxelIndices) -> FloatArray:
        """[N], after the sigmoid."""
        answers: FloatArray = self._grid.ask(self._model.decoder_qual, voxels).sigmoid_().squeeze(1).cpu().numpy()
        return answers

    def width(self, voxels: VoxelIndices) -> FloatArray:
        """[N], in cubes."""
        answers: FloatArray = self._grid.ask(self._model.decoder_width, voxels).squeeze(1).cpu().numpy()
        return answers

    def rotation(self, voxels: VoxelIndices) -> FloatArray:
        """[N, 4], unit quaternions x, y, z, w."""
        raw = self._grid.ask(self._model.decoder_rot, voxels)
        answers: FloatArray = functional.normalize(raw, dim=-1).cpu().numpy()
        return answers

    @torch.no_grad()
    def rotation_at(self, points: FloatArray) -> FloatArray:
        """[N, 4], as `rotation`, at cube coordinates [N, 3], on the grid or between."""
        asked = torch.from_numpy(points).to(self._planes.device)[None]
        answers: FloatArray = self._model.rotations(self._planes[None], asked)[0].cpu().numpy()
        return answers

    @torch.no_grad()
    def occupancy(self, points: FloatArray) -> FloatArray:
        """[N] probability of occupancy at cube coordinates [N, 3].

        Interpolated linearly between the points of a lattice as fine as the planes, of which only those beside the
        points are asked: a hand and its variants ask for thousands of points that lie close together.
        Raises ValueError for a model without geometry.
        """
        self._model.require_geometry()
        side = self._planes.shape[-1]
        lattice = np.zeros((side + 1,) * 3, dtype=np.float32)
        position = (np.clip(points, -0.5, 0.5) + 0.5) * np.float32(side)
        cells = np.zeros((side,) * 3, dtype=bool)
        cells[tuple(np.minimum(position.astype(np.intp), side - 1).T)] = True
        beside = np.zeros(lattice.shape, dtype=bool)
        for corner in np.ndindex(2, 2, 2):
            beside[tuple(slice(start, start + side) for start in corner)] |= cells
        asked = np.flatnonzero(beside)
        coordinates = torch.linspace(-0.5, 0.5, side + 1)
        logits = GridQuery(self._planes, coordinates).ask(self._model.decoder_tsdf, asked)
        lattice.flat[asked] = logits.sigmoid_().squeeze(1).cpu().numpy()
        # grid_sample wants the last axis first, and -1 to 1 from the first to the last lattice point.
        where = torch.from_numpy(2.0 * np.ascontiguousarray(points[:, ::-1]))
        sampled = functional.grid_sample(
            torch.from_numpy(lattice)[None, None], where[None, None, None], padding_mode="border", align_corners=True
        )
        answers: FloatArray = sampled.flatten().numpy()
        return answers


def _decode(decoder: PointDecoder, conditions: Tensor, answers: Tensor) -> None:
    """`PointDecoder.decode`, written into `answers` [n, outputs] without an allocation a layer.

    conditions: [n, blocks * 32] from `GridQuery._tables`, which holds the embedded point and the biases of fc_1 too.
    """
    first, *others = conditions.split(DECODER_CHANNELS, dim=-1)
    net = first.contiguous()
    active, inner = torch.empty_like(net), torch.empty_like(net)
    for index, block in enumerate(decoder.blocks):
        fc_0, fc_1 = block.get_submodule("fc_0"), block.get_submodule("fc_1")
        if index > 0:
            net += others[index - 1]
        torch.clamp_min(net, 0.0, out=active)
        torch.addmm(fc_0.get_parameter("bias"), active, fc_0.get_parameter("weight").T, out=inner)
        inner.relu_()
        net.addmm_(inner, fc_1.get_parameter("weight").T)
    net += decoder.blocks[-1].get_submodule("fc_1").get_parameter("bias")
    torch.addmm(decoder.fc_out.bias, net.relu_(), decoder.fc_out.weight.T, out=answers)


def _interpolation_matrix(coordinates: Tensor, plane_resolution: int) -> Tensor:
    """[n, R]: row i holds the linear interpolation weights of grid coordinate i among a plane's R samples."""
    position = plane_coordinates(coordinates) * (plane_resolution - 1)
    below = position.floor().long().clamp(max=plane_resolution - 2)
    fraction = (position - below).unsqueeze(1)
    lower = functional.one_hot(below, plane_resolution).to(position.dtype)
    upper = functional.one_hot(below + 1, plane_resolution).to(position.dtype)
    return lower * (1 - fraction) + upper * fraction
