"""The scene's shape, seen and unseen sides alike, as a closed mesh: the network's occupancy turned into triangles."""

from __future__ import annotations

import logging

import numpy as np
import open3d as o3d
import torch
import trimesh
from numpy.typing import NDArray
from skimage.measure import marching_cubes
from torch import Tensor

from giga_perception.network import Giga
from giga_perception.occupancy_lattice import Volume, occupancy_lattice
from giga_perception.scene_encoding import encode_scene
from giga_perception.tsdf import TsdfGrid
from giga_perception.workspace import WORKSPACE_SIZE_M

_LOG = logging.getLogger(__name__)

# Resolutions accepted: below, objects vanish; above, the network holds no such detail.
MIN_RESOLUTION = 8
MAX_RESOLUTION = 160

# With fewer triangles than this, a table of objects loses its volume.
MIN_TRIANGLES = 100


# Points asked at once: few enough for a chunk's intermediate results to stay in the processor's cache.
_CHUNK = 4096


def reconstruct(
    model: Giga, tsdf: TsdfGrid, resolution: int = 40, max_triangles: int = 4000, planes: Tensor | None = None
) -> trimesh.Trimesh:
    """Mesh of the surface where the predicted occupancy is one half, in workspace metres, within the cube.

    resolution: cells along each side of the cube (8 to 160), found coarse to fine; `occupancy_lattice` says what that
    can miss. max_triangles: the mesh is decimated to at most so many. planes: what `model.encode` made of this TSDF,
    [3, C, R, R], where it is at hand already.
    Watertight, triangles counter-clockwise from outside; or empty (no vertices) when nothing is occupied. A scene of so
    many pieces that `max_triangles` cannot draw them is looked at with half the resolution. Raises ValueError for
    arguments out of range, for a model without geometry, or when even the coarsest mesh has more triangles than asked
    for.
    """
    if not model.has_geometry:
        raise ValueError(
            f"a model of kind '{model.kind}' predicts no geometry: reconstruct with one that does, as giga"
        )
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise ValueError(f"resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION} cells a side, got {resolution}")
    if max_triangles < MIN_TRIANGLES:
        raise ValueError(f"max_triangles must be at least {MIN_TRIANGLES}, got {max_triangles}")
    with torch.inference_mode():
        if planes is None:
            planes = encode_scene(model, tsdf.value)
        logits_at = OccupancyField(model, planes)
        while True:
            mesh = _decimated(_surface(occupancy_lattice(logits_at, resolution)), max_triangles)
            if len(mesh.faces) <= max_triangles and (mesh.is_empty or mesh.is_watertight):
                return mesh
            # Edge collapse keeps every piece and every hole; only a coarser look loses them.
            if resolution // 2 < MIN_RESOLUTION:
                count = len(mesh.faces)
                raise ValueError(f"the scene cannot be drawn with {max_triangles} triangles: allow more than {count}")
            resolution //= 2
            _LOG.warning("too ragged for %d triangles, reconstructed at %d cells a side", max_triangles, resolution)


class OccupancyField:
    """The occupancy head of one encoded scene: planes [3, C, R, R] as `model.encode` makes them."""

    def __init__(self, model: Giga, planes: Tensor) -> None:
        self._model = model
        self._planes = planes[None]

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits [N] at cube coordinates [N, 3]."""
        chunks = torch.from_numpy(points)[None].to(self._planes.device).split(_CHUNK, dim=1)
        logits = [self._model.occupancy_logits(self._planes, chunk)[0] for chunk in chunks]
        result: NDArray[np.float32] = torch.cat(logits).cpu().numpy()
        return result


def _surface(logits: Volume) -> trimesh.Trimesh:
    """The triangles where the logits [n + 1, ...] over the cube cross zero, in metres."""
    occupied = np.argwhere(logits > 0.0)
    if len(occupied) == 0:
        return trimesh.Trimesh()
    # Nothing is occupied on the faces of the cube, so there is a point more on either side.
    first, last = occupied.min(axis=0) - 1, occupied.max(axis=0) + 1
    box = logits[tuple(slice(start, stop + 1) for start, stop in zip(first, last, strict=True))]
    vertices, triangles, _, _ = marching_cubes(box, level=0.0, gradient_direction="ascent")
    # Unprocessed: marching cubes shares vertices already, and merging close ones could tear the mesh open.
    return trimesh.Trimesh((vertices + first) * (WORKSPACE_SIZE_M / (len(logits) - 1)), triangles, process=False)


def _decimated(mesh: trimesh.Trimesh, max_triangles: int) -> trimesh.Trimesh:
    """The mesh, by quadric edge collapse (Garland and Heckbert) where it has more triangles than that."""
    if len(mesh.faces) <= max_triangles:
        return mesh
    dense = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(mesh.vertices), o3d.utility.Vector3iVector(mesh.faces))
    light = dense.simplify_quadric_decimation(max_triangles)
    vertices = np.clip(np.asarray(light.vertices), 0.0, WORKSPACE_SIZE_M)
    return trimesh.Trimesh(vertices, np.asarray(light.triangles), process=False)
