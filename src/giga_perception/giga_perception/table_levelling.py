"""A depth camera's scale error, taken out again: the table tells what it is, since its height is known.

Depth cameras err by a constant factor (the paper's simulator draws one an image, 3.2 % wide: 2 cm at 0.6 m), which
moves table and objects alike. The table's height in `workspace` is part of the workspace's definition, so an image in
which the table lies 1 cm too low says by what factor its distances are too long.

This is for a camera whose pose is right. What a wrong pose looks like, and how to find the right one: `table_plane`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from giga_perception.camera import DepthView, pixel_rays
from giga_perception.tsdf import MAX_DEPTH_M
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

# Looked for around where the table should be: this far below and above, in steps, and with this share of the readings.
_SEARCH_M = (-0.06, 0.06)
_BIN_M = 0.002
_LEAST_SHARE = 0.1
# An image this wide shows the table well enough: of a wider one only every so many pixels are looked at.
_ENOUGH_COLUMNS = 160


def levelled(view: DepthView) -> DepthView:
    """The view with its distances scaled so that the table is where it stands; itself when no table is seen in it."""
    factor = levelling_factor(view)
    return view if factor == 1.0 else replace(view, depth_m=view.depth_m * np.float32(factor))


def levelling_factor(view: DepthView) -> float:
    """By what the distances must be multiplied for the table to be at its height; 1 when no table is seen."""
    points_m, eye_z_m = _points_over_the_table(view)
    low, high = TABLE_HEIGHT_M + _SEARCH_M[0], TABLE_HEIGHT_M + _SEARCH_M[1]
    heights = points_m[(points_m[:, 2] > low) & (points_m[:, 2] < high), 2]
    if len(heights) == 0 or eye_z_m <= high:
        return 1.0
    counts, edges = np.histogram(heights, bins=round((high - low) / _BIN_M), range=(low, high))
    peak = int(np.argmax(np.convolve(counts, np.ones(5), mode="same")))
    near = heights[np.abs(heights - (edges[peak] + _BIN_M / 2.0)) < 3.0 * _BIN_M]
    if len(near) < _LEAST_SHARE * len(points_m):
        return 1.0
    return float((eye_z_m - TABLE_HEIGHT_M) / (eye_z_m - np.median(near)))


def _points_over_the_table(view: DepthView) -> tuple[NDArray[np.float64], float]:
    """Seen points [N, 3] inside the workspace's square, at any height, and the camera's own height."""
    camera, T_workspace_camera = view.camera, view.T_camera_workspace.inv()
    step = max(1, camera.width // _ENOUGH_COLUMNS)
    depth_m = view.depth_m[::step, ::step]
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m > 0.0) & (depth_m < MAX_DEPTH_M))
    z = depth_m[rows, columns].astype(np.float64)
    rays = pixel_rays(camera, rows * step, columns * step)
    points_m = np.asarray(T_workspace_camera.apply(rays * z[:, None])).reshape(-1, 3)
    inside = np.all((points_m[:, :2] >= 0.0) & (points_m[:, :2] <= WORKSPACE_SIZE_M), axis=1)
    return points_m[inside], float(T_workspace_camera.translation[2])
