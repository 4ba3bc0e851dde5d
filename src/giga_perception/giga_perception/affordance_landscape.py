"""The affordance landscape (paper, figure 4): the scene's surface, coloured by how well it can be grasped where.

A vertex v of the surface has the affordance

    A(v) = max { Q(c) : c a grasp centre with |c - v| <= REACH_M }

where Q is the smoothed quality of the centres that the masks allow: the best grasp whose centre lies near. To go out
from the surface along its normal instead, as the labels were drawn, would light up the table before every object that
can be grasped from the side.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from giga_perception.detection import Detection
from giga_perception.quality_colour import quality_colour
from giga_perception.tsdf_surface import seen_surface
from giga_perception.workspace import WORKSPACE_SIZE_M

REACH_M = 0.02
"""How far a centre lends its quality to the surface: about half the way from the hand's palm to its fingertips."""

NO_CENTRE_COLOUR = (0.72, 0.72, 0.74)
"""Where no centre in reach is allowed, the network was not heard: neither good nor poor."""


@dataclass(frozen=True, eq=False)
class AffordanceLandscape:
    """A surface and its affordance.

    vertices_m: [V, 3] in the workspace. triangles: [T, 3], counter-clockwise seen from outside.
    affordance: [V], 0 to 1; NaN where no grasp centre in reach is allowed (far from anything seen, or at the border).
    """

    vertices_m: NDArray[np.float64]
    triangles: NDArray[np.int64]
    affordance: NDArray[np.float32]

    def colours(self) -> NDArray[np.float64]:
        """Red, green, blue [V, 3] from 0 to 1: the scale of `quality_colour`, grey where nothing is known."""
        known = np.isfinite(self.affordance)
        colours = np.tile(NO_CENTRE_COLOUR, (len(self.affordance), 1))
        colours[known] = quality_colour(self.affordance[known])
        return colours


def seen_landscape(detection: Detection) -> AffordanceLandscape:
    """The landscape on what the cameras saw, table included; empty when they saw no surface."""
    vertices_m, triangles = seen_surface(detection.tsdf)
    return AffordanceLandscape(vertices_m, triangles, _best_within_reach(vertices_m, detection.quality))


def affordance_landscape(mesh: trimesh.Trimesh, quality: NDArray[np.float32]) -> AffordanceLandscape:
    """The landscape on a surface in workspace metres, such as `GraspDetector.reconstruct` gives.

    quality: `Detection.quality`, [R, R, R]: of the centres at the voxels' lower corners, 0 where none is allowed.
    """
    vertices_m = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    triangles = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
    return AffordanceLandscape(vertices_m, triangles, _best_within_reach(vertices_m, quality))


def _best_within_reach(points_m: NDArray[np.float64], quality: NDArray[np.float32]) -> NDArray[np.float32]:
    """The best quality [N] of the allowed centres within REACH_M of each point [N, 3]; NaN where there is none."""
    best = np.full(len(points_m), np.nan, dtype=np.float32)
    # An allowed centre's quality is a sigmoid's, never quite 0.
    index = np.argwhere(quality > 0.0)
    if len(index) == 0 or len(points_m) == 0:
        return best
    centres = cKDTree(index * (WORKSPACE_SIZE_M / len(quality)))
    near = centres.query_ball_point(points_m, REACH_M, return_sorted=False)
    counts = np.fromiter(map(len, near), dtype=np.intp, count=len(near))
    values = quality[tuple(index.T)][np.fromiter(itertools.chain.from_iterable(near), dtype=np.intp)]
    heard = counts > 0
    if heard.any():
        best[heard] = np.maximum.reduceat(values, (np.cumsum(counts) - counts)[heard])
    return best
