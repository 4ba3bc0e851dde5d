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

from giga_perception.network import DECODER_CHANNELS, PLANE_AXES, PointDecoder, plane_coordinates

# Points decoded at once: small enough for a chunk's intermediate results to stay in the processor's cache.
_CHUNK = 2048


def lower_corner_coordinates(resolution: int) -> Tensor:
    """Cube coordinates [R] of the voxels' lower corners along one axis, where grasp centres are asked for."""
    return torch.arange(resolution, dtype=torch.float32) / resolution - 0.5


class GridQuery:
    """The feature planes of one scene, sampled on the regular grid with these coordinates along each axis."""

    def __init__(self, planes: Tensor, coordinates: Tensor) -> None:
        """planes: [3, C, R, R] of one scene (`Giga.encode(...)[0]`). coordinates: [n] cube coordinates of the grid."""
        self._coordinates = coordinates
        self._resolution = coordinates.shape[0]
        interpolation = _interpolation_matrix(coordinates, planes.shape[-1])
        # [3, C, n, n]: second axis of the plane, then first, as in the planes.
        sampled = interpolation @ planes @ interpolation.T
        # [3, n * n, C]: one row of features for each (first, second).
        self._features = sampled.permute(0, 3, 2, 1).flatten(1, 2).contiguous()

    def ask(self, decoder: PointDecoder, voxels: NDArray[np.intp]) -> Tensor:
        """Raw head outputs [N, outputs] at the grid points with the given flat indices (x * n + y) * n + z, [N]."""
        tables = self._tables(decoder)
        indices = torch.from_numpy(np.stack(np.unravel_index(voxels, (self._resolution,) * 3)))
        rows = [indices[first] * self._resolution + indices[second] for first, second in PLANE_AXES]
        answers = []
        for start in range(0, len(voxels), _CHUNK):
            part = slice(start, start + _CHUNK)
            conditions = tables[0][rows[0][part]]
            conditions += tables[1][rows[1][part]]
            conditions += tables[2][rows[2][part]]
            # The embedded point is in the first block's condition already.
            answers.append(decoder.decode(torch.zeros(DECODER_CHANNELS), conditions))
        return torch.cat(answers) if answers else torch.empty(0, decoder.fc_out.out_features)

    def _tables(self, decoder: PointDecoder) -> Tensor:
        """What each plane's grid points contribute to all blocks of a head: [3, n * n, blocks * 32]."""
        channels = self._features.shape[-1]
        weight = decoder.condition_weight().unflatten(1, (len(PLANE_AXES), channels)).transpose(0, 1)
        tables = torch.bmm(self._features, weight.transpose(1, 2))
        # Biases and the embedded point must enter once: x and z by way of plane xz, y by way of plane xy.
        tables[0] += decoder.condition_bias()
        embedded_xz = (
            decoder.fc_p.weight[:, 0] * self._coordinates[:, None, None]
            + decoder.fc_p.weight[:, 2] * self._coordinates[None, :, None]
            + decoder.fc_p.bias
        )
        embedded_xy = (decoder.fc_p.weight[:, 1] * self._coordinates[:, None]).expand(self._resolution, -1, -1)
        tables[0, :, :DECODER_CHANNELS] += embedded_xz.flatten(0, 1)
        tables[1, :, :DECODER_CHANNELS] += embedded_xy.flatten(0, 1)
        return tables


def _interpolation_matrix(coordinates: Tensor, plane_resolution: int) -> Tensor:
    """[n, R]: row i holds the linear interpolation weights of grid coordinate i among a plane's R samples."""
    position = plane_coordinates(coordinates) * (plane_resolution - 1)
    below = position.floor().long().clamp(max=plane_resolution - 2)
    fraction = (position - below).unsqueeze(1)
    lower = functional.one_hot(below, plane_resolution).to(position.dtype)
    upper = functional.one_hot(below + 1, plane_resolution).to(position.dtype)
    return lower * (1 - fraction) + upper * fraction
