"""Convex bodies as a few planes: a point set's hull approximated from outside, grown by moving the planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

FloatArray = NDArray[np.float64]

# Planes added in each round of the approximation: few rounds, and hardly more planes than one by one.
_PLANES_A_ROUND = 6
# A flat point set (a plate drawn without thickness) gets this much on every side.
_LEAST_THICKNESS_M = 1e-3


@dataclass(frozen=True, eq=False)
class ConvexBody:
    """All x with normals @ x + offsets_m <= 0: outward unit normals [F, 3], offsets [F], corners [C, 3]; metres."""

    normals: FloatArray
    offsets_m: FloatArray
    corners_m: FloatArray

    def grown(self, by_m: float) -> ConvexBody:
        """The body with every plane moved outwards by `by_m` (0 or more): it holds all that is within that distance."""
        offsets = self.offsets_m - by_m
        return ConvexBody(self.normals, offsets, _corners(self.normals, offsets, self.corners_m.mean(axis=0)))


def convex_body_around(points_m: FloatArray, tolerance_m: float) -> ConvexBody:
    """The convex hull of points [N, 3], from outside to within `tolerance_m`, with about as few planes as that needs.

    Planes that touch the points in evenly spread directions are always among them: they cut the tips which edges and
    corners would otherwise grow. Raises ValueError for points that are not finite, or none.
    """
    if len(points_m) == 0 or not np.isfinite(points_m).all():
        raise ValueError("a body needs points, all of them finite")
    try:
        hull = ConvexHull(points_m)
    except (QhullError, ValueError):
        sides = _LEAST_THICKNESS_M * np.concatenate([np.eye(3), -np.eye(3)])
        points_m = (points_m[:, None] + sides).reshape(-1, 3)
        hull = ConvexHull(points_m)
    points_m = points_m[hull.vertices]
    inside = points_m.mean(axis=0)
    # Qhull gives a plane for each triangle; those of one flat face are the same.
    faces = np.unique(hull.equations.round(9), axis=0)
    spread = np.asarray(trimesh.creation.icosphere(subdivisions=1).vertices)
    normals, offsets = spread, -(points_m @ spread.T).max(axis=0)
    while True:
        corners = _corners(normals, offsets, inside)
        beyond = corners @ faces[:, :3].T + faces[:, 3]
        farthest = beyond.max(axis=1)
        if farthest.max() <= tolerance_m:
            return ConvexBody(normals, offsets, corners)
        worst = np.argsort(farthest)[::-1][:_PLANES_A_ROUND]
        added = np.unique(beyond[worst[farthest[worst] > tolerance_m]].argmax(axis=1))
        normals = np.concatenate([normals, faces[added, :3]])
        offsets = np.concatenate([offsets, faces[added, 3]])


def _corners(normals: FloatArray, offsets_m: FloatArray, inside_m: FloatArray) -> FloatArray:
    halfspaces = np.column_stack([normals, offsets_m])
    return np.unique(HalfspaceIntersection(halfspaces, inside_m).intersections.round(7), axis=0)
