"""A triangle mesh that rays are cast at: its search tree is built once, wherever the object then stands."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import open3d as o3d
from numpy.typing import NDArray


class SurfaceMesh:
    """Vertices [n, 3] in metres, in the mesh's own frame, and triangles [m, 3]."""

    def __init__(self, vertices_m: NDArray[np.floating], triangles: NDArray[np.integer]) -> None:
        self.vertices_m = np.ascontiguousarray(vertices_m, dtype=np.float32)
        self.triangles = np.ascontiguousarray(triangles, dtype=np.uint32)

    @cached_property
    def _scene(self) -> o3d.t.geometry.RaycastingScene:
        scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(o3d.core.Tensor(self.vertices_m), o3d.core.Tensor(self.triangles))
        return scene

    @cached_property
    def corners_m(self) -> NDArray[np.float64]:
        """The eight corners of its bounding box [8, 3]."""
        bounds = np.stack([self.vertices_m.min(axis=0), self.vertices_m.max(axis=0)]).astype(np.float64)
        return np.array([[bounds[i, 0], bounds[j, 1], bounds[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])

    def cast(self, rays: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Distances (in lengths of the ray's direction; inf = none) [n] and outward normals [n, 3] of first hits.

        rays: [n, 6], origin and direction in the mesh's frame.
        """
        answer = self._scene.cast_rays(o3d.core.Tensor(np.ascontiguousarray(rays, dtype=np.float32)), nthreads=1)
        return answer["t_hit"].numpy(), answer["primitive_normals"].numpy()

    def contains(self, points_m: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which points [n, 3] lie inside the (closed) surface: the majority of three rays decides."""
        queries = o3d.core.Tensor(np.ascontiguousarray(points_m, dtype=np.float32))
        return self._scene.compute_occupancy(queries, nthreads=1, nsamples=3).numpy() > 0.5
