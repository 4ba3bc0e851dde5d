"""The scene's shape, seen and unseen sides alike, as a closed mesh: the network's occupancy turned into triangles."""

from __future__ import annotations

import logging

import numpy as np
import open3d as o3d
import torch
import trimesh
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from giga_perception.grid_query import GridQuery
from giga_perception.network import Giga
from giga_perception.tsdf import TsdfGrid
from giga_perception.workspace import WORKSPACE_SIZE_M

_LOG = logging.getLogger(__name__)

# Logit forced on the faces of the cube where the network says occupied, so that the mesh closes there. Small, so that
# the surface lies close to the face.
_BORDER_LOGIT = -0.01

# Logits smaller than this are moved to it. A logit of zero would put several vertices on one lattice point, and the
# mesh would not be closed; a network's logits change by about one from cell to cell, so nothing moves visibly.
_LEAST_LOGIT = 1e-3

# Resolutions accepted: below, objects vanish; above, a query takes seconds and the network holds no such detail.
MIN_RESOLUTION = 8
MAX_RESOLUTION = 160

# With fewer triangles than this, a table of objects loses its volume.
MIN_TRIANGLES = 100


def reconstruct(model: Giga, tsdf: TsdfGrid, resolution: int = 40, max_triangles: int = 4000) -> trimesh.Trimesh:
    """Mesh of the surface where the predicted occupancy is one half, in workspace metres, within the cube.

    resolution: cells along each side of the cube (8 to 160). max_triangles: the mesh is decimated to at most so many.
    Watertight, or empty (no vertices) when nothing is occupied. A scene of so many pieces that `max_triangles` cannot
    draw them is looked at with half the resolution. Raises ValueError for arguments out of range, or when even the
    coarsest mesh has more triangles than asked for.
    """
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise ValueError(f"resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION} cells a side, got {resolution}")
    if max_triangles < MIN_TRIANGLES:
        raise ValueError(f"max_triangles must be at least {MIN_TRIANGLES}, got {max_triangles}")
    mesh = _meshed(model, tsdf, resolution, max_triangles)
    while len(mesh.faces) > max_triangles:
        # Edge collapse keeps every piece and every hole; only a coarser look loses them.
        if resolution // 2 < MIN_RESOLUTION:
            raise ValueError(
                f"the scene cannot be drawn with {max_triangles} triangles, allow at least {len(mesh.faces)}"
            )
        resolution //= 2
        _LOG.warning("scene too ragged for %d triangles, reconstructed at %d cells a side", max_triangles, resolution)
        mesh = _meshed(model, tsdf, resolution, max_triangles)
    return mesh


def _meshed(model: Giga, tsdf: TsdfGrid, resolution: int, max_triangles: int) -> trimesh.Trimesh:
    """The mesh at exactly this resolution, with no more triangles than asked for where edge collapse gets that far."""
    logits = _close_at_border(_occupancy_logits(model, tsdf, resolution))
    if not (logits > 0).any():
        return trimesh.Trimesh()
    vertices, triangles, _, _ = marching_cubes(logits, level=0.0, gradient_direction="ascent")
    # Unprocessed: marching cubes shares vertices already, and merging close ones could tear the mesh open.
    mesh = trimesh.Trimesh(vertices * (WORKSPACE_SIZE_M / resolution), triangles, process=False)
    return _decimated(mesh, max_triangles) if len(mesh.faces) > max_triangles else mesh


def _occupancy_logits(model: Giga, tsdf: TsdfGrid, resolution: int) -> NDArray[np.float32]:
    """Logits at all corners of the cells, [resolution + 1] along each axis."""
    points = resolution + 1
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(tsdf.value)[None])[0]
        query = GridQuery(planes, torch.linspace(-0.5, 0.5, points))
        logits = query.ask(model.decoder_tsdf, np.arange(points**3)).numpy()
    volume: NDArray[np.float32] = logits.reshape(points, points, points)
    return volume


def _close_at_border(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits with nothing occupied on the faces of the cube, and none too close to zero."""
    closed = np.minimum(logits, np.float32(_BORDER_LOGIT))
    interior = logits[1:-1, 1:-1, 1:-1]
    away_from_zero = np.copysign(np.maximum(np.abs(interior), np.float32(_LEAST_LOGIT)), interior)
    closed[1:-1, 1:-1, 1:-1] = away_from_zero
    return closed


def _decimated(mesh: trimesh.Trimesh, max_triangles: int) -> trimesh.Trimesh:
    """The mesh by quadric edge collapse (Garland and Heckbert)."""
    dense = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(mesh.vertices), o3d.utility.Vector3iVector(mesh.faces))
    light = dense.simplify_quadric_decimation(max_triangles)
    vertices = np.clip(np.asarray(light.vertices), 0.0, WORKSPACE_SIZE_M)
    return trimesh.Trimesh(vertices, np.asarray(light.triangles), process=False)
