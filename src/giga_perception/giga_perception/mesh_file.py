"""Meshes and affordance landscapes written to files that every viewer opens."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import trimesh

from giga_perception.affordance_landscape import AffordanceLandscape

MESH_SUFFIXES = (".ply", ".obj", ".stl")
COLOURED_SUFFIXES = (".ply", ".obj")
"""Those that hold a colour at each vertex."""


class MeshFileError(ValueError):
    """A mesh cannot be written under this name; the message names it, says what is wrong and what to do."""


def check_mesh_path(path: Path, suffixes: tuple[str, ...] = MESH_SUFFIXES) -> None:
    """Raise `MeshFileError` unless a file of one of these kinds can be written there, before any work is done."""
    if path.suffix.lower() not in suffixes:
        raise MeshFileError(f"{path}: the name of a mesh must end in one of {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise MeshFileError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise MeshFileError(f"{path}: is a folder; name a file in it")


def write_mesh(path: Path, mesh: trimesh.Trimesh) -> None:
    """Write the mesh (metres) as PLY, OBJ or STL, whole or not at all.

    Raises `MeshFileError` as `check_mesh_path` does, and OSError.
    """
    check_mesh_path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        mesh.export(unfinished, file_type=path.suffix.lower().lstrip("."))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_landscape(path: Path, landscape: AffordanceLandscape) -> None:
    """Write the landscape with a colour at each vertex; raises as `write_mesh`, also for STL, which holds no colours.

    PLY also holds the affordance itself, as each vertex's ``quality``: 0 where nothing is known.
    """
    check_mesh_path(path, COLOURED_SUFFIXES)
    colours = np.round(255.0 * landscape.colours()).astype(np.uint8)
    mesh = trimesh.Trimesh(landscape.vertices_m, landscape.triangles, process=False, vertex_colors=colours)
    mesh.vertex_attributes["quality"] = np.nan_to_num(landscape.affordance).astype(np.float32)
    write_mesh(path, mesh)
