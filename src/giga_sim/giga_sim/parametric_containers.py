"""Boxes, cans, bottles, cups and bowls: parametric kinds that hold something."""

from __future__ import annotations

from typing import cast

import numpy as np
import trimesh

from giga_sim.convex_parts import Array, Kind, Made, block, frustum, hull, lathe, stack, wall_sectors


def _box(rng: np.random.Generator) -> Made:
    size = [rng.uniform(0.06, 0.16), rng.uniform(0.04, 0.10), rng.uniform(0.025, 0.07)]
    return [block(size)], None, rng.uniform(200, 500)


def _carton(rng: np.random.Generator) -> Made:
    size = [rng.uniform(0.05, 0.11), rng.uniform(0.03, 0.08), rng.uniform(0.10, 0.19)]
    return [block(size)], None, rng.uniform(200, 450)


def _can(rng: np.random.Generator) -> Made:
    radius, height = rng.uniform(0.025, 0.045), rng.uniform(0.06, 0.16)
    profile = [(0.92 * radius, 0.0), (radius, 0.004), (radius, height - 0.004), (0.92 * radius, height)]
    return stack(profile), lathe(profile), rng.uniform(250, 500)


def _bottle(rng: np.random.Generator) -> Made:
    radius, body = rng.uniform(0.025, 0.042), rng.uniform(0.08, 0.13)
    neck, shoulder, top = rng.uniform(0.010, 0.017), rng.uniform(0.02, 0.04), rng.uniform(0.02, 0.05)
    profile = [(radius, 0.0), (radius, body), (neck, body + shoulder), (neck, body + shoulder + top)]
    return stack(profile), lathe(profile), rng.uniform(200, 400)


def _shampoo(rng: np.random.Generator) -> Made:
    radius, flattening, body = rng.uniform(0.035, 0.055), rng.uniform(0.45, 0.75), rng.uniform(0.10, 0.16)
    waist = radius * rng.uniform(0.75, 1.0)
    profile = [(0.9 * radius, 0.0), (radius, 0.4 * body), (waist, body)]
    cap = rng.uniform(0.012, 0.02)
    parts = [*stack(profile, flattening), frustum(cap, cap, body, body + rng.uniform(0.02, 0.04))]
    return parts, None, rng.uniform(250, 450)


def _cup_walls(rng: np.random.Generator) -> tuple[list[Array], trimesh.Trimesh, float, float]:
    bottom, height, wall = rng.uniform(0.024, 0.036), rng.uniform(0.07, 0.11), rng.uniform(0.004, 0.006)
    top = min(bottom * rng.uniform(1.0, 1.35), 0.045)
    at_floor = bottom + (top - bottom) * wall / height
    outer = [(at_floor, wall), (top, height)]
    inner = [(at_floor - wall, wall), (top - wall, height)]
    parts = [frustum(bottom, at_floor, 0.0, wall), *wall_sectors(outer, inner)]
    surface = lathe([(bottom, 0.0), (at_floor, wall), (top, height), (top - wall, height), (at_floor - wall, wall)])
    return parts, surface, height, 0.5 * (bottom + top)


def _cup(rng: np.random.Generator) -> Made:
    parts, surface, _, _ = _cup_walls(rng)
    return parts, surface, rng.uniform(700, 1500)


def _mug(rng: np.random.Generator) -> Made:
    parts, surface, height, radius = _cup_walls(rng)
    reach, bar = rng.uniform(0.018, 0.03), rng.uniform(0.007, 0.011)
    low, high, start = 0.25 * height, 0.75 * height, radius - 0.002
    handle = [
        block([reach, bar, bar], [start + 0.5 * reach, 0.0, low]),
        block([reach, bar, bar], [start + 0.5 * reach, 0.0, high]),
        block([bar, bar, high - low + bar], [start + reach, 0.0, 0.5 * (low + high)]),
    ]
    mesh = trimesh.util.concatenate([surface, *(hull(part) for part in handle)])
    return parts + handle, cast(trimesh.Trimesh, mesh), rng.uniform(700, 1500)


def _bowl(rng: np.random.Generator) -> Made:
    radius, height, wall = rng.uniform(0.05, 0.08), rng.uniform(0.03, 0.055), rng.uniform(0.004, 0.006)
    foot = radius * rng.uniform(0.4, 0.55)
    middle = foot + (radius - foot) * 0.75
    outer = [(foot, wall), (middle, 0.5 * height), (radius, height)]
    inner = [(r - 1.3 * wall, z) for r, z in outer]
    parts = [frustum(0.95 * foot, foot, 0.0, wall), *wall_sectors(outer, inner)]
    surface = lathe([(0.95 * foot, 0.0), *outer, *reversed(inner)])
    return parts, surface, rng.uniform(600, 1200)


CONTAINERS: dict[str, Kind] = {
    "bottle": _bottle,
    "bowl": _bowl,
    "box": _box,
    "can": _can,
    "carton": _carton,
    "cup": _cup,
    "mug": _mug,
    "shampoo": _shampoo,
}
