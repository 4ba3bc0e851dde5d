"""Convex hulls of link geometry, shrunken where contact is tolerated, and coal's shapes made from them."""

from __future__ import annotations

import coal
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def shrunken_hull(points_m: FloatArray, depth_m: float) -> FloatArray:
    """Corners [K, 3] of the convex hull of points [N, 3] with every face moved inwards by `depth_m`.

    The allowed depth of a contact is thus a clearance below zero.

    Raises:
        ValueError: the body is thinner than twice that depth, so nothing is left.
    """
    halfspaces = ConvexHull(points_m).equations.copy()
    halfspaces[:, 3] += depth_m
    centre = points_m.mean(axis=0)
    if np.any(halfspaces[:, :3] @ centre + halfspaces[:, 3] >= 0.0):
        raise ValueError(f"A body thinner than twice {depth_m} m cannot be shrunk by that much.")
    try:
        return np.unique(HalfspaceIntersection(halfspaces, centre).intersections.round(9), axis=0)
    except QhullError as error:
        raise ValueError(f"A body cannot be shrunk by {depth_m} m: {error}") from error


def convex_shape(points_m: FloatArray) -> coal.Convex:
    """coal's convex body around points [N, 3]."""
    hull = ConvexHull(points_m)
    corners = points_m[hull.vertices]
    renumbered = np.full(len(points_m), -1)
    renumbered[hull.vertices] = np.arange(len(hull.vertices))
    triangles = renumbered[hull.simplices]
    # qhull's simplices are not oriented: turn those whose normal looks inwards.
    a, b, c = (corners[triangles[:, k]] for k in range(3))
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), hull.equations[:, :3]) < 0.0
    triangles[inwards] = triangles[inwards][:, ::-1]
    vertex_list = coal.StdVec_Vec3s()
    vertex_list.extend(list(corners))
    triangle_list = coal.StdVec_Triangle()
    triangle_list.extend([coal.Triangle(int(i), int(j), int(k)) for i, j, k in triangles])
    return coal.Convex(vertex_list, triangle_list)


def triangle_tree(vertices_m: FloatArray, triangles: IntArray) -> coal.BVHModelOBBRSS:
    """coal's bounding volume tree over a triangle mesh: vertices [V, 3], triangles [T, 3]."""
    tree = coal.BVHModelOBBRSS()
    tree.beginModel(len(triangles), len(vertices_m))
    tree.addVertices(np.ascontiguousarray(vertices_m, dtype=np.float64))
    tree.addTriangles(np.ascontiguousarray(triangles))
    tree.endModel()
    tree.computeLocalAABB()
    return tree
