"""Rings, hammers, screwdrivers, brackets and brushes: parametric kinds that one works with."""

from __future__ import annotations

import numpy as np

from giga_sim.convex_parts import Kind, Made, along_x, block, frustum, lathe, stack, wall_sectors


def _ring(rng: np.random.Generator) -> Made:
    radius, thick, height = rng.uniform(0.03, 0.055), rng.uniform(0.010, 0.02), rng.uniform(0.012, 0.03)
    outer = [(radius - 0.25 * thick, 0.0), (radius, 0.5 * height), (radius - 0.25 * thick, height)]
    inner = [(radius - 0.75 * thick, 0.0), (radius - thick, 0.5 * height), (radius - 0.75 * thick, height)]
    return wall_sectors(outer, inner), lathe(outer + inner[::-1], closed=True), rng.uniform(400, 900)


def _hammer(rng: np.random.Generator) -> Made:
    length, grip = rng.uniform(0.11, 0.17), rng.uniform(0.010, 0.016)
    handle = along_x(frustum(grip, 0.8 * grip, -length / 2, length / 2))
    size = [rng.uniform(0.022, 0.035), rng.uniform(0.06, 0.09), rng.uniform(0.022, 0.035)]
    head = block(size, [length / 2, 0.0, 0.0])
    return [handle, head], None, rng.uniform(500, 900)


def _screwdriver(rng: np.random.Generator) -> Made:
    grip, shaft, radius = rng.uniform(0.06, 0.10), rng.uniform(0.05, 0.09), rng.uniform(0.011, 0.017)
    profile = [(0.8 * radius, 0.0), (radius, 0.3 * grip), (0.8 * radius, grip)]
    profile += [(0.005, grip + 0.004), (0.005, grip + shaft)]
    mesh = lathe(profile)
    mesh.vertices = along_x(mesh.vertices)
    return [along_x(part) for part in stack(profile)], mesh, rng.uniform(400, 800)


def _bracket(rng: np.random.Generator) -> Made:
    """An L, a T or a U of flat bars."""
    long, short = rng.uniform(0.08, 0.14), rng.uniform(0.05, 0.09)
    bar, thick = rng.uniform(0.016, 0.028), rng.uniform(0.018, 0.035)
    places = [[0.5 * (long - bar)], [0.0], [-0.5 * (long - bar), 0.5 * (long - bar)]][rng.integers(3)]
    legs = [block([bar, short, thick], [x, 0.5 * (short + bar), 0.0]) for x in places]
    return [block([long, bar, thick]), *legs], None, rng.uniform(250, 600)


def _brush(rng: np.random.Generator) -> Made:
    length, wide, thick = rng.uniform(0.07, 0.11), rng.uniform(0.016, 0.026), rng.uniform(0.012, 0.02)
    head = rng.uniform(0.05, 0.08)
    handle = block([length, wide, thick], [-0.5 * length, 0.0, 0.0])
    plate = block([head, 1.8 * wide, thick], [0.5 * head - 0.005, 0.0, 0.0])
    bristles = block([0.85 * head, 1.5 * wide, 0.025], [0.5 * head - 0.005, 0.0, -0.5 * thick - 0.012])
    return [handle, plate, bristles], None, rng.uniform(200, 500)


TOOLS: dict[str, Kind] = {
    "bracket": _bracket,
    "brush": _brush,
    "hammer": _hammer,
    "ring": _ring,
    "screwdriver": _screwdriver,
}
