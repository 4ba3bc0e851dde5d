"""Household shapes made from a few numbers each: objects that need no download.

A shape is a union of convex parts, built directly, so that contact, occupancy and rendering all see the same solid.
Every object is drawn from the hash of its own name: adding a kind or an object changes no other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import trimesh

from giga_sim.convex_parts import Kind, hull
from giga_sim.parametric_containers import CONTAINERS
from giga_sim.parametric_tools import TOOLS
from giga_sim.parametric_toys import TOYS

OBJECTS_A_KIND = 15
_KINDS: dict[str, Kind] = {**CONTAINERS, **TOOLS, **TOYS}
_STANDING_KINDS = ("bottle", "box", "can", "carton", "cup", "lamp", "mug", "shampoo", "toy")
# The files of this folder that decide what the shapes are.
_SOURCES = (
    "convex_parts.py",
    "parametric_containers.py",
    "parametric_objects.py",
    "parametric_tools.py",
    "parametric_toys.py",
)


@dataclass(frozen=True, eq=False)
class ParametricShape:
    """A solid at scale 1, in metres, standing upright along z, origin at its centre of mass.

    parts: the convex parts whose union it is.
    mesh: its closed surface (or the closed surfaces of its parts, where they overlap).
    mass_kg: from a density typical of its kind.
    """

    name: str
    parts: tuple[trimesh.Trimesh, ...]
    mesh: trimesh.Trimesh
    mass_kg: float


def parametric_names() -> tuple[str, ...]:
    """All names, like ``bottle_007``."""
    return tuple(f"{kind}_{index:03d}" for kind in sorted(_KINDS) for index in range(OBJECTS_A_KIND))


def parametric_kind(name: str) -> str | None:
    """The kind of an object, like ``bottle``; None for an object that is not one of these."""
    kind, _, number = name.rpartition("_")
    return kind if kind in _KINDS and number.isdecimal() else None


def stands_upright(name: str) -> bool:
    """Whether objects of this kind are tall and stand on a table by themselves, as packed scenes need."""
    return name.rpartition("_")[0] in _STANDING_KINDS


def make_shape(name: str) -> ParametricShape:
    """The shape of that name; the same everywhere. Raises KeyError for an unknown kind."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    parts, own_surface, density_kg_m3 = _KINDS[name.rpartition("_")[0]](rng)
    hulls = [hull(part) for part in parts]
    mesh = cast(trimesh.Trimesh, trimesh.util.concatenate(hulls)) if own_surface is None else own_surface
    volumes = np.array([part_hull.volume for part_hull in hulls])
    centres = np.array([part_hull.center_mass for part_hull in hulls])
    centre = (volumes[:, None] * centres).sum(axis=0) / volumes.sum()
    mesh.apply_translation(-centre)
    mass_kg = float(np.clip(density_kg_m3 * volumes.sum(), 0.02, 0.5))
    for part_hull in hulls:
        part_hull.apply_translation(-centre)
    return ParametricShape(name, tuple(hulls), mesh, mass_kg)


def write_parametric_objects(folder: Path) -> Path:
    """Write every shape as URDF and OBJ files into a sub-folder of `folder`; return it.

    The sub-folder is named after the content of the files that make shapes, and appears at once, complete: a killed or
    a parallel run does no harm, and a changed shape never meets an old file.
    """
    own_folder = Path(__file__).parent
    version = hashlib.sha256(b"".join((own_folder / name).read_bytes() for name in _SOURCES)).hexdigest()[:10]
    target = folder / f"parametric-{version}"
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".parametric-", dir=folder))
    try:
        for name in parametric_names():
            _write_shape(make_shape(name), temporary)
        temporary.chmod(0o755)
        try:
            os.rename(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write_shape(shape: ParametricShape, folder: Path) -> None:
    (folder / f"{shape.name}_visual.obj").write_text(_obj_text([shape.mesh]))
    (folder / f"{shape.name}_collision.obj").write_text(_obj_text(shape.parts))
    (folder / f"{shape.name}.urdf").write_text(
        f"""<?xml version="1.0"?>
<robot name="{shape.name}">
  <link name="base_link">
    <contact>
      <lateral_friction value="1.0"/>
      <rolling_friction value="0.0"/>
      <contact_cfm value="0.0"/>
      <contact_erp value="1.0"/>
    </contact>
    <inertial>
      <mass value="{shape.mass_kg:.6f}"/>
      <inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/>
    </inertial>
    <visual>
      <geometry>
        <mesh filename="{shape.name}_visual.obj"/>
      </geometry>
    </visual>
    <collision>
      <geometry>
        <mesh filename="{shape.name}_collision.obj"/>
      </geometry>
    </collision>
  </link>
</robot>
"""
    )


def _obj_text(meshes: Sequence[trimesh.Trimesh]) -> str:
    """OBJ with one object a mesh: the physics engine makes one convex part of each."""
    lines, first = [], 1
    for index, mesh in enumerate(meshes):
        lines.append(f"o part_{index}")
        lines += [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in mesh.vertices]
        lines += [f"f {a + first} {b + first} {c + first}" for a, b, c in mesh.faces]
        first += len(mesh.vertices)
    return "\n".join(lines) + "\n"
