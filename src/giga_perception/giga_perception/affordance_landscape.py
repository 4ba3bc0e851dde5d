"""The affordance landscape (paper, figure 4): the scene's surface, coloured by how well it can be grasped where.

The network answers for grasp *centres*, which lie in the air before a surface: its labels were drawn by going out from
a surface point along the outward normal, by -0.1 to 1.1 of a finger's length, and closing the hand there. The landscape
goes the same way back: a vertex v with outward normal n has the affordance

    A(v) = max { Q(v + d n) : -0.1 * 0.05 m <= d <= 1.1 * 0.05 m }

where Q is the masked, smoothed quality of the grasp centres, linear between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import ndimage

from giga_perception.detection import Detection
from giga_perception.quality_colour import quality_colour
from giga_perception.tsdf_surface import seen_surface
from giga_perception.workspace import WORKSPACE_SIZE_M

FINGER_LENGTH_M = 0.05
"""Length of the fingers in the hand trials that the labels come from."""
_DEPTHS_M = FINGER_LENGTH_M * np.linspace(-0.1, 1.1, 13)
"""Steps of 5 mm: closer than the centres of the finest usual grid (60 a side)."""

NO_CENTRE_COLOUR = (0.72, 0.72, 0.74)
"""Where no grasp centre was allowed, the network was not heard: neither good nor poor."""


@dataclass(frozen=True, eq=False)
class AffordanceLandscape:
    """A surface and its affordance.

    vertices_m: [V, 3] in the workspace. triangles: [T, 3], counter-clockwise seen from outside.
    affordance: [V], 0 to 1; NaN where no grasp centre in reach was allowed (too far from anything seen, at the border).
    """

    vertices_m: NDArray[np.float64]
    triangles: NDArray[np.int64]
    affordance: NDArray[np.float64]

    def colours(self) -> NDArray[np.float64]:
        """Red, green, blue [V, 3] from 0 to 1: the scale of `quality_colour`, grey where nothing is known."""
        known = np.isfinite(self.affordance)
        colours = np.tile(NO_CENTRE_COLOUR, (len(self.affordance), 1))
        colours[known] = quality_colour(self.affordance[known])
        return colours


def seen_landscape(detection: Detection) -> AffordanceLandscape:
    """The landscape on what the cameras saw, table included; empty when they saw no surface."""
    vertices_m, triangles = seen_surface(detection.tsdf)
    return affordance_landscape(trimesh.Trimesh(vertices_m, triangles, process=False), detection.quality)


def affordance_landscape(mesh: trimesh.Trimesh, quality: NDArray[np.floating]) -> AffordanceLandscape:
    """The landscape on this surface (workspace metres, outward triangles), such as `GraspDetector.reconstruct` gives.

    quality: `Detection.quality`, [R, R, R]: of the centres at the voxels' lower corners, 0 where none is allowed.
    """
    vertices_m = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    triangles = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
    if len(triangles) == 0:
        return AffordanceLandscape(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), np.empty(0))
    outwards = vertices_m[None] + _DEPTHS_M[:, None, None] * _vertex_normals(vertices_m, triangles)[None]
    voxels = np.moveaxis(outwards, -1, 0) * (len(quality) / WORKSPACE_SIZE_M)
    best = ndimage.map_coordinates(quality, voxels, order=1, mode="constant", cval=0.0).max(axis=0).astype(np.float64)
    # An allowed centre's quality is a sigmoid's, never quite 0.
    return AffordanceLandscape(vertices_m, triangles, np.where(best > 0.0, best, np.nan))


def _vertex_normals(vertices_m: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    """Outward unit normals [V, 3]: the triangles' around each vertex, weighed by area; 0 for a vertex of none."""
    corners = vertices_m[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [np.bincount(triangles.reshape(-1), np.repeat(across[:, axis], 3), len(vertices_m)) for axis in range(3)],
        axis=-1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0.0)
