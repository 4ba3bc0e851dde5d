"""Household shapes made from a few numbers each: objects that need no download.

A shape is a union of convex parts, built directly, so that contact, occupancy and rendering all see the same solid.
Every object is drawn from the hash of its own name: adding a kind or an object changes no other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import trimesh
from numpy.typing import NDArray

Array = NDArray[np.float64]

OBJECTS_A_KIND = 15
SIDES = 16
"""Sides of a round shape; visual and collision shape share its corners."""


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


def stands_upright(name: str) -> bool:
    """Whether objects of this kind are tall and stand on a table by themselves, as packed scenes need."""
    return name.rpartition("_")[0] in _STANDING_KINDS


def make_shape(name: str) -> ParametricShape:
    """The shape of that name; the same everywhere. Raises KeyError for an unknown kind."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    parts, own_surface, density_kg_m3 = _KINDS[name.rpartition("_")[0]](rng)
    hulls = [_hull(part) for part in parts]
    mesh = cast(trimesh.Trimesh, trimesh.util.concatenate(hulls)) if own_surface is None else own_surface
    volumes = np.array([hull.volume for hull in hulls])
    centres = np.array([hull.center_mass for hull in hulls])
    centre = (volumes[:, None] * centres).sum(axis=0) / volumes.sum()
    mesh.apply_translation(-centre)
    mass_kg = float(np.clip(density_kg_m3 * volumes.sum(), 0.02, 0.5))
    for hull in hulls:
        hull.apply_translation(-centre)
    return ParametricShape(name, tuple(hulls), mesh, mass_kg)


def write_parametric_objects(folder: Path) -> Path:
    """Write every shape as URDF and OBJ files into a sub-folder of `folder`; return it.

    The sub-folder is named after this module's content and appears at once, complete: a killed or a parallel run does
    no harm, and a changed shape never meets an old file.
    """
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:10]
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


def _hull(corners: Array) -> trimesh.Trimesh:
    return trimesh.Trimesh(vertices=corners, process=False).convex_hull


# Building blocks -----------------------------------------------------------------------------------------------------


def _block(size: Array | list[float], centre: Array | list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)) -> Array:
    """Corners of a box."""
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    return signs * np.asarray(size) + np.asarray(centre)


def _circle(radius: float, height: float, flattening: float = 1.0) -> Array:
    angles = np.linspace(0.0, 2.0 * np.pi, SIDES, endpoint=False)
    return np.column_stack([radius * np.cos(angles), flattening * radius * np.sin(angles), np.full(SIDES, height)])


def _frustum(radius_0: float, radius_1: float, z_0: float, z_1: float, flattening: float = 1.0) -> Array:
    """Corners of a piece of a cone between two heights."""
    return np.vstack([_circle(radius_0, z_0, flattening), _circle(radius_1, z_1, flattening)])


def _stack(profile: list[tuple[float, float]], flattening: float = 1.0) -> list[Array]:
    """Frustums between successive (radius, height) pairs."""
    return [
        _frustum(r_0, r_1, z_0, z_1, flattening) for (r_0, z_0), (r_1, z_1) in pairwise(profile) if z_1 - z_0 > 1e-6
    ]


def _lathe(profile: list[tuple[float, float]], closed: bool = False) -> trimesh.Trimesh:
    """The surface swept by a (radius, height) line turned about z: from axis to axis, or a closed loop off the axis."""
    line = list(profile)
    rings = [_circle(radius, height) for radius, height in line if radius > 0.0]
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


def _wall_sectors(outer: list[tuple[float, float]], inner: list[tuple[float, float]]) -> list[Array]:
    """A hollow wall as convex sectors; outer and inner profile have the same number of points."""
    sectors = []
    for k in range(len(outer) - 1):
        rings = [_circle(*outer[k]), _circle(*outer[k + 1]), _circle(*inner[k]), _circle(*inner[k + 1])]
        for side in range(SIDES):
            sectors.append(np.array([ring[i % SIDES] for ring in rings for i in (side, side + 1)]))
    return sectors


def _ball(radii: Array | list[float], centre: Array | list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)) -> Array:
    return trimesh.creation.icosphere(subdivisions=1).vertices * np.asarray(radii) + np.asarray(centre)


def _along_x(corners: Array) -> Array:
    """The same corners with what pointed along z now along x."""
    return corners[:, [2, 1, 0]] * np.array([1.0, 1.0, -1.0])


# Kinds: each returns its convex parts, its surface (None = the parts' own), and a density in kg/m^3 ------------------

_Made = tuple[list[Array], "trimesh.Trimesh | None", float]


def _box(rng: np.random.Generator) -> _Made:
    size = [rng.uniform(0.06, 0.16), rng.uniform(0.04, 0.10), rng.uniform(0.025, 0.07)]
    return [_block(size)], None, rng.uniform(200, 500)


def _carton(rng: np.random.Generator) -> _Made:
    size = [rng.uniform(0.05, 0.11), rng.uniform(0.03, 0.08), rng.uniform(0.10, 0.19)]
    return [_block(size)], None, rng.uniform(200, 450)


def _can(rng: np.random.Generator) -> _Made:
    radius, height = rng.uniform(0.025, 0.045), rng.uniform(0.06, 0.16)
    profile = [(0.92 * radius, 0.0), (radius, 0.004), (radius, height - 0.004), (0.92 * radius, height)]
    return _stack(profile), _lathe(profile), rng.uniform(250, 500)


def _bottle(rng: np.random.Generator) -> _Made:
    radius, body = rng.uniform(0.025, 0.042), rng.uniform(0.08, 0.13)
    neck, shoulder, top = rng.uniform(0.010, 0.017), rng.uniform(0.02, 0.04), rng.uniform(0.02, 0.05)
    profile = [(radius, 0.0), (radius, body), (neck, body + shoulder), (neck, body + shoulder + top)]
    return _stack(profile), _lathe(profile), rng.uniform(200, 400)


def _shampoo(rng: np.random.Generator) -> _Made:
    radius, flattening, body = rng.uniform(0.035, 0.055), rng.uniform(0.45, 0.75), rng.uniform(0.10, 0.16)
    waist = radius * rng.uniform(0.75, 1.0)
    profile = [(0.9 * radius, 0.0), (radius, 0.4 * body), (waist, body)]
    cap = rng.uniform(0.012, 0.02)
    parts = [*_stack(profile, flattening), _frustum(cap, cap, body, body + rng.uniform(0.02, 0.04))]
    return parts, None, rng.uniform(250, 450)


def _cup_walls(rng: np.random.Generator) -> tuple[list[Array], trimesh.Trimesh, float, float]:
    bottom, height, wall = rng.uniform(0.024, 0.036), rng.uniform(0.07, 0.11), rng.uniform(0.004, 0.006)
    top = min(bottom * rng.uniform(1.0, 1.35), 0.045)
    at_floor = bottom + (top - bottom) * wall / height
    outer = [(at_floor, wall), (top, height)]
    inner = [(at_floor - wall, wall), (top - wall, height)]
    parts = [_frustum(bottom, at_floor, 0.0, wall), *_wall_sectors(outer, inner)]
    surface = _lathe([(bottom, 0.0), (at_floor, wall), (top, height), (top - wall, height), (at_floor - wall, wall)])
    return parts, surface, height, 0.5 * (bottom + top)


def _cup(rng: np.random.Generator) -> _Made:
    parts, surface, _, _ = _cup_walls(rng)
    return parts, surface, rng.uniform(700, 1500)


def _mug(rng: np.random.Generator) -> _Made:
    parts, surface, height, radius = _cup_walls(rng)
    reach, bar = rng.uniform(0.018, 0.03), rng.uniform(0.007, 0.011)
    low, high, start = 0.25 * height, 0.75 * height, radius - 0.002
    handle = [
        _block([reach, bar, bar], [start + 0.5 * reach, 0.0, low]),
        _block([reach, bar, bar], [start + 0.5 * reach, 0.0, high]),
        _block([bar, bar, high - low + bar], [start + reach, 0.0, 0.5 * (low + high)]),
    ]
    mesh = trimesh.util.concatenate([surface, *(_hull(part) for part in handle)])
    return parts + handle, cast(trimesh.Trimesh, mesh), rng.uniform(700, 1500)


def _bowl(rng: np.random.Generator) -> _Made:
    radius, height, wall = rng.uniform(0.05, 0.08), rng.uniform(0.03, 0.055), rng.uniform(0.004, 0.006)
    foot = radius * rng.uniform(0.4, 0.55)
    middle = foot + (radius - foot) * 0.75
    outer = [(foot, wall), (middle, 0.5 * height), (radius, height)]
    inner = [(r - 1.3 * wall, z) for r, z in outer]
    parts = [_frustum(0.95 * foot, foot, 0.0, wall), *_wall_sectors(outer, inner)]
    surface = _lathe([(0.95 * foot, 0.0), *outer, *reversed(inner)])
    return parts, surface, rng.uniform(600, 1200)


def _ring(rng: np.random.Generator) -> _Made:
    radius, thick, height = rng.uniform(0.03, 0.055), rng.uniform(0.010, 0.02), rng.uniform(0.012, 0.03)
    outer = [(radius - 0.25 * thick, 0.0), (radius, 0.5 * height), (radius - 0.25 * thick, height)]
    inner = [(radius - 0.75 * thick, 0.0), (radius - thick, 0.5 * height), (radius - 0.75 * thick, height)]
    return _wall_sectors(outer, inner), _lathe(outer + inner[::-1], closed=True), rng.uniform(400, 900)


def _hammer(rng: np.random.Generator) -> _Made:
    length, grip = rng.uniform(0.11, 0.17), rng.uniform(0.010, 0.016)
    handle = _along_x(_frustum(grip, 0.8 * grip, -length / 2, length / 2))
    size = [rng.uniform(0.022, 0.035), rng.uniform(0.06, 0.09), rng.uniform(0.022, 0.035)]
    head = _block(size, [length / 2, 0.0, 0.0])
    return [handle, head], None, rng.uniform(500, 900)


def _screwdriver(rng: np.random.Generator) -> _Made:
    grip, shaft, radius = rng.uniform(0.06, 0.10), rng.uniform(0.05, 0.09), rng.uniform(0.011, 0.017)
    profile = [(0.8 * radius, 0.0), (radius, 0.3 * grip), (0.8 * radius, grip)]
    profile += [(0.005, grip + 0.004), (0.005, grip + shaft)]
    mesh = _lathe(profile)
    mesh.vertices = _along_x(mesh.vertices)
    return [_along_x(part) for part in _stack(profile)], mesh, rng.uniform(400, 800)


def _ball_shape(rng: np.random.Generator) -> _Made:
    radius = rng.uniform(0.022, 0.04)
    corners = _ball([radius, radius * rng.uniform(0.85, 1.0), radius * rng.uniform(0.8, 1.5)])
    return [corners], None, rng.uniform(150, 500)


def _banana(rng: np.random.Generator) -> _Made:
    bend, radius, thick = rng.uniform(0.8, 1.8), rng.uniform(0.06, 0.09), rng.uniform(0.012, 0.02)
    angles = np.linspace(-bend / 2, bend / 2, 7)
    rings = []
    for share, angle in zip(np.linspace(-1.0, 1.0, 7), angles, strict=True):
        circle = _circle(thick * (1.0 - 0.65 * share**4), 0.0)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        rings.append(out * (radius + circle[:, :1]) + np.array([0.0, 0.0, 1.0]) * circle[:, 1:2])
    return [np.vstack(pair) for pair in pairwise(rings)], None, rng.uniform(400, 800)


def _toy(rng: np.random.Generator) -> _Made:
    """A figure: body, head, sometimes ears or arms."""
    body = np.array([rng.uniform(0.022, 0.035), rng.uniform(0.018, 0.03), rng.uniform(0.03, 0.045)])
    head = rng.uniform(0.016, 0.028)
    neck = body[2] + 0.7 * head
    torso = _block(2 * body) if rng.random() < 0.5 else _stack([(body[0], -body[2]), (0.7 * body[0], body[2])])[0]
    parts = [torso, _ball([head] * 3, [0.0, 0.0, neck])]
    if rng.random() < 0.6:
        for side in (-1.0, 1.0):
            parts.append(_block([0.008, 0.010, 0.03], [side * 0.6 * head, 0.0, neck + head]))
    if rng.random() < 0.6:
        for side in (-1.0, 1.0):
            parts.append(_block([0.03, 0.014, 0.014], [side * (body[0] + 0.008), 0.0, rng.uniform(0.0, 0.02)]))
    return parts, None, rng.uniform(150, 400)


def _bracket(rng: np.random.Generator) -> _Made:
    """An L, a T or a U of flat bars."""
    long, short = rng.uniform(0.08, 0.14), rng.uniform(0.05, 0.09)
    bar, thick = rng.uniform(0.016, 0.028), rng.uniform(0.018, 0.035)
    places = [[0.5 * (long - bar)], [0.0], [-0.5 * (long - bar), 0.5 * (long - bar)]][rng.integers(3)]
    legs = [_block([bar, short, thick], [x, 0.5 * (short + bar), 0.0]) for x in places]
    return [_block([long, bar, thick]), *legs], None, rng.uniform(250, 600)


def _brush(rng: np.random.Generator) -> _Made:
    length, wide, thick = rng.uniform(0.07, 0.11), rng.uniform(0.016, 0.026), rng.uniform(0.012, 0.02)
    head = rng.uniform(0.05, 0.08)
    handle = _block([length, wide, thick], [-0.5 * length, 0.0, 0.0])
    plate = _block([head, 1.8 * wide, thick], [0.5 * head - 0.005, 0.0, 0.0])
    bristles = _block([0.85 * head, 1.5 * wide, 0.025], [0.5 * head - 0.005, 0.0, -0.5 * thick - 0.012])
    return [handle, plate, bristles], None, rng.uniform(200, 500)


def _lamp(rng: np.random.Generator) -> _Made:
    """A foot, a stem and a knob, like a chess piece or a candlestick."""
    foot, stem, knob = rng.uniform(0.028, 0.042), rng.uniform(0.009, 0.015), rng.uniform(0.016, 0.03)
    height = rng.uniform(0.09, 0.15)
    profile = [(foot, 0.0), (foot, 0.012), (stem, 0.03), (stem, height)]
    profile += [(knob, height + knob), (0.5 * knob, height + 2 * knob)]
    return _stack(profile), _lathe(profile), rng.uniform(300, 600)


_KINDS: dict[str, Callable[[np.random.Generator], _Made]] = {
    "ball": _ball_shape,
    "banana": _banana,
    "bottle": _bottle,
    "bowl": _bowl,
    "box": _box,
    "bracket": _bracket,
    "brush": _brush,
    "can": _can,
    "carton": _carton,
    "cup": _cup,
    "hammer": _hammer,
    "lamp": _lamp,
    "mug": _mug,
    "ring": _ring,
    "screwdriver": _screwdriver,
    "shampoo": _shampoo,
    "toy": _toy,
}

_STANDING_KINDS = ("bottle", "box", "can", "carton", "cup", "lamp", "mug", "shampoo", "toy")
