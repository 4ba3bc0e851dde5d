"""From volumes to grasp centres: which voxels may hold a grasp, and which of them are chosen.

The order of the steps and their numbers are VGN's and GIGA's: smooth the qualities, drop centres far from or inside a
surface, drop impossible widths, drop the borders, threshold, suppress all but local maxima, sort.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from giga_perception.workspace import WORKSPACE_SIZE_M

FloatVolume = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Standard deviation of the smoothing of qualities, and its reach, in voxels (the filter ends at four sigma).
SMOOTHING_SIGMA_VOXELS = 1.0
SMOOTHING_REACH_VOXELS = 4

# TSDF values above this and below the out threshold are near or behind a surface.
_INSIDE_ABOVE = 1e-3

# A centre may lie this many voxels from one that is in front of a surface.
_DILATION_VOXELS = 2

# Widths a grasp may have, in cubes: about 0.010 to 0.070 m.
MIN_WIDTH_CUBES = 0.033
MAX_WIDTH_CUBES = 0.233

# Centres closer to a side of the workspace than this are dropped: x and y at both ends, z from below only.
_SIDE_BORDER_M = 0.02
_BOTTOM_BORDER_M = 0.055

# Window of the non-maximum suppression, in voxels.
_SUPPRESSION_WINDOW = 4


def near_surface(tsdf: FloatVolume, out_threshold: float) -> Mask:
    """Where a grasp centre may be: within two voxels of a voxel in front of a surface, never growing into the surface.

    tsdf: values [R, R, R] as `TsdfGrid.value`. out_threshold: the value above which a voxel counts as in front.
    """
    near = tsdf > out_threshold
    forbidden = (tsdf > _INSIDE_ABOVE) & (tsdf < out_threshold)
    for _ in range(_DILATION_VOXELS):
        near = _with_neighbours(near) & ~forbidden
    return near


def _with_neighbours(mask: Mask) -> Mask:
    """The mask grown by the six neighbours of each voxel: by slices, several times as fast as SciPy's dilation."""
    grown = mask.copy()
    for axis in range(3):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        behind = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        grown[ahead] |= mask[behind]
        grown[behind] |= mask[ahead]
    return grown


def in_bounds(resolution: int) -> Mask:
    """Voxels [R, R, R] far enough from the sides and the bottom of the workspace."""
    voxel_m = WORKSPACE_SIZE_M / resolution
    side = int(_SIDE_BORDER_M / voxel_m)
    bottom = int(_BOTTOM_BORDER_M / voxel_m)
    inside = np.zeros((resolution,) * 3, dtype=bool)
    inside[side : resolution - side, side : resolution - side, bottom:] = True
    return inside


def within_smoothing_reach(wanted: Mask) -> Mask:
    """Voxels whose quality takes part in the smoothed quality of a wanted voxel."""
    return ndimage.maximum_filter(wanted, size=2 * SMOOTHING_REACH_VOXELS + 1, mode="constant", cval=0)


def smoothed(quality: FloatVolume) -> FloatVolume:
    """Qualities [R, R, R] after the Gaussian filter."""
    return ndimage.gaussian_filter(quality, sigma=SMOOTHING_SIGMA_VOXELS, mode="nearest", radius=SMOOTHING_REACH_VOXELS)


def width_is_valid(width: NDArray[np.float32]) -> Mask:
    """Whether the hand can hold at this width (in cubes)."""
    return (width >= MIN_WIDTH_CUBES) & (width <= MAX_WIDTH_CUBES)


def suppress_non_maxima(quality: FloatVolume, threshold: float) -> NDArray[np.intp]:
    """Indices [N, 3] (x, y, z) of the local maxima of at least `threshold` (and above zero), best first.

    Equal neighbours are both maxima. Equal qualities are ordered by index, so that the order never depends on chance.
    """
    kept = np.where(quality >= threshold, quality, 0)
    maxima = (kept == ndimage.maximum_filter(kept, size=_SUPPRESSION_WINDOW)) & (kept > 0)
    indices = np.argwhere(maxima)
    best_first = np.argsort(-quality[maxima], kind="stable")
    return indices[best_first]
