"""The surface that a fused TSDF has seen, as triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from giga_perception.tsdf import TsdfGrid

_SURFACE_VALUE = 0.5
_FAR_BEHIND_VALUE = 0.25
_JUMP = 0.7
"""Across a cell, a surface changes the value by less than a third of this; edges of things may come near it."""


def seen_surface(tsdf: TsdfGrid) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where the TSDF crosses 0.5 between observed voxels: vertices [V, 3] in workspace metres and triangles [T, 3].

    Only what a camera saw: open towards everything hidden. Both are empty when no surface was seen.
    """
    observed = tsdf.weight > 0.0
    value = np.where(_free(tsdf), np.float32(1.0), tsdf.value)
    # A cell is used when all its eight corners were observed; marching_cubes looks the mask up at its upper corner.
    complete = ndimage.minimum_filter(observed, size=2)
    low, high = ndimage.minimum_filter(value, size=2), ndimage.maximum_filter(value, size=2)
    # Behind a silhouette, space seen past an edge meets space hidden by it: a jump, and no surface.
    complete &= high - low < _JUMP
    crossed = complete & (low < _SURFACE_VALUE) & (high > _SURFACE_VALUE)
    if not crossed.any():
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    vertices, triangles, _, _ = marching_cubes(value, _SURFACE_VALUE, mask=complete, allow_degenerate=False)
    # Values belong to the centres of voxels.
    return (vertices + 0.5) * tsdf.voxel_m, triangles.astype(np.int64)


def _free(tsdf: TsdfGrid) -> NDArray[np.bool_]:
    """Observed voxels in front of every surface.

    The grid holds 0 there, as it does far behind a surface; the latter have neighbours just behind a surface.
    """
    no_surface_near = (tsdf.weight > 0.0) & (tsdf.value == 0.0)
    just_behind = (tsdf.value > 0.0) & (tsdf.value < _FAR_BEHIND_VALUE)
    return no_surface_near & ~ndimage.binary_dilation(just_behind)
