"""Building blocks of parametric shapes: corners of convex parts, and the closed surfaces that go with them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import trimesh
from numpy.typing import NDArray

Array = NDArray[np.float64]
# What a kind makes of random numbers: its convex parts, its surface (None = the parts' own), a density in kg/m^3.
Made = tuple[list[Array], trimesh.Trimesh | None, float]
Kind = Callable[[np.random.Generator], Made]

SIDES = 16
"""Sides of a round shape; visual and collision shape share its corners."""


def hull(corners: Array) -> trimesh.Trimesh:
    """The convex solid of corners [n, 3]."""
    return trimesh.Trimesh(vertices=corners, process=False).convex_hull


def block(size: Array | list[float], centre: Array | list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)) -> Array:
    """Corners of a box."""
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    return signs * np.asarray(size) + np.asarray(centre)


def circle(radius: float, height: float, flattening: float = 1.0) -> Array:
    """Corners of a level polygon of SIDES sides around z, narrower along y where `flattening` is below 1."""
    angles = np.linspace(0.0, 2.0 * np.pi, SIDES, endpoint=False)
    return np.column_stack([radius * np.cos(angles), flattening * radius * np.sin(angles), np.full(SIDES, height)])


def frustum(radius_0: float, radius_1: float, z_0: float, z_1: float, flattening: float = 1.0) -> Array:
    """Corners of a piece of a cone between two heights."""
    return np.vstack([circle(radius_0, z_0, flattening), circle(radius_1, z_1, flattening)])


def stack(profile: list[tuple[float, float]], flattening: float = 1.0) -> list[Array]:
    """Frustums between successive (radius, height) pairs."""
    return [frustum(r_0, r_1, z_0, z_1, flattening) for (r_0, z_0), (r_1, z_1) in pairwise(profile) if z_1 - z_0 > 1e-6]


def lathe(profile: list[tuple[float, float]], closed: bool = False) -> trimesh.Trimesh:
    """The surface swept by a (radius, height) line turned about z: from axis to axis, or a closed loop off the axis."""
    line = list(profile)
    rings = [circle(radius, height) for radius, height in line if radius > 0.0]
    vertices = np.vstack(rings)
    count = len(rings)
    faces = []
    for ring in range(count if closed else count - 1):
        for side in range(SIDES):
            a, b = ring * SIDES + side, ring * SIDES + (side + 1) % SIDES
            upper = ((ring + 1) % count) * SIDES
            c, d = upper + side, upper + (side + 1) % SIDES
            faces += [[a, b, d], [a, d, c]]
    if not closed:
        caps = [(0, line[0][1], True), ((count - 1) * SIDES, line[-1][1], False)]
        for start, height, is_first in caps:
            centre = len(vertices)
            vertices = np.vstack([vertices, [[0.0, 0.0, height]]])
            for side in range(SIDES):
                a, b = start + side, start + (side + 1) % SIDES
                faces.append([a, centre, b] if is_first else [a, b, centre])
    mesh = trimesh.Trimesh(vertices=vertices, faces=np.array(faces), process=False)
    if mesh.volume < 0.0:
        mesh.invert()
    return mesh


def wall_sectors(outer: list[tuple[float, float]], inner: list[tuple[float, float]]) -> list[Array]:
    """A hollow wall as convex sectors; outer and inner profile have the same number of points."""
    sectors = []
    for k in range(len(outer) - 1):
        rings = [circle(*outer[k]), circle(*outer[k + 1]), circle(*inner[k]), circle(*inner[k + 1])]
        for side in range(SIDES):
            sectors.append(np.array([ring[i % SIDES] for ring in rings for i in (side, side + 1)]))
    return sectors


def ball(radii: Array | list[float], centre: Array | list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)) -> Array:
    """Corners of an ellipsoid."""
    return trimesh.creation.icosphere(subdivisions=1).vertices * np.asarray(radii) + np.asarray(centre)


def along_x(corners: Array) -> Array:
    """The same corners with what pointed along z now along x."""
    return corners[:, [2, 1, 0]] * np.array([1.0, 1.0, -1.0])
