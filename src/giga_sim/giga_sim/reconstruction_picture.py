"""Scenes as they are and as networks take them to be, side by side in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from giga_perception.dataset import occupancy_points_m
from giga_perception.detection_meshes import floor_mesh, surface_mesh
from giga_perception.surface_render import Viewpoint, render
from giga_perception.workspace import WORKSPACE_SIZE_M

# About as fine as the points lie; a little smoothing takes the steps off.
_CELLS = 56
_SMOOTHING_CELLS = 0.8
_PANEL_PIXELS = (420, 340)
_DPI = 100
_TARGET_M = np.array([0.15, 0.15, 0.095])
_DISTANCE_M = 0.72
_AZIMUTH_RAD = np.radians(-60.0)
_ELEVATION_RAD = np.radians(38.0)


def occupied_surface(occupied: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices [V, 3] in `workspace` metres and triangles [T, 3] around the occupied ones of the fixed points [P]."""
    volume = gaussian_filter(occupied[_nearest_point()].astype(np.float32), _SMOOTHING_CELLS, mode="constant")
    volume = np.pad(volume, 1)
    if volume.max() <= 0.5:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    vertices, triangles, _, _ = marching_cubes(volume, level=0.5, gradient_direction="ascent")
    return (vertices - 0.5) * (WORKSPACE_SIZE_M / _CELLS), triangles.astype(np.int64)


def draw_reconstructions(
    rows: Sequence[tuple[str, Sequence[NDArray[np.bool_]]]], columns: Sequence[str], path: Path
) -> None:
    """Write a PNG: a row a scene (its name; an occupancy [P] for each column), a column a source, all drawn alike.

    Raises OSError when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = _PANEL_PIXELS
    figure = Figure(figsize=(len(columns) * width / _DPI, len(rows) * height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.02, 0.08)
    viewpoint = _viewpoint()
    for (name, shapes), line in zip(rows, panels, strict=True):
        for title, occupied, axes in zip(columns, shapes, line, strict=True):
            meshes = [floor_mesh(), surface_mesh(*occupied_surface(occupied))]
            axes.imshow(render(meshes, viewpoint), interpolation="antialiased")
            axes.set_title(f"{name}: {title}", fontsize=9)
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _nearest_point() -> NDArray[np.intp]:
    """For each cell [n, n, n] the fixed point nearest to its middle."""
    middles = (np.arange(_CELLS) + 0.5) * (WORKSPACE_SIZE_M / _CELLS)
    cells = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    _, nearest = cKDTree(occupancy_points_m()).query(cells.reshape(-1, 3))
    return np.asarray(nearest).reshape((_CELLS,) * 3)


def _viewpoint() -> Viewpoint:
    direction = np.array(
        [
            np.cos(_AZIMUTH_RAD) * np.cos(_ELEVATION_RAD),
            np.sin(_AZIMUTH_RAD) * np.cos(_ELEVATION_RAD),
            np.sin(_ELEVATION_RAD),
        ]
    )
    return Viewpoint(_TARGET_M + _DISTANCE_M * direction, _TARGET_M, 30.0, *_PANEL_PIXELS)
