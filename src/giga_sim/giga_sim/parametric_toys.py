"""Balls, bananas, figures and candlesticks: parametric kinds of no right angles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from giga_sim.convex_parts import Kind, Made, ball, block, circle, lathe, stack


def _ball(rng: np.random.Generator) -> Made:
    radius = rng.uniform(0.022, 0.04)
    corners = ball([radius, radius * rng.uniform(0.85, 1.0), radius * rng.uniform(0.8, 1.5)])
    return [corners], None, rng.uniform(150, 500)


def _banana(rng: np.random.Generator) -> Made:
    bend, radius, thick = rng.uniform(0.8, 1.8), rng.uniform(0.06, 0.09), rng.uniform(0.012, 0.02)
    angles = np.linspace(-bend / 2, bend / 2, 7)
    rings = []
    for share, angle in zip(np.linspace(-1.0, 1.0, 7), angles, strict=True):
        outline = circle(thick * (1.0 - 0.65 * share**4), 0.0)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        rings.append(out * (radius + outline[:, :1]) + np.array([0.0, 0.0, 1.0]) * outline[:, 1:2])
    return [np.vstack(pair) for pair in pairwise(rings)], None, rng.uniform(400, 800)


def _toy(rng: np.random.Generator) -> Made:
    """A figure: body, head, sometimes ears or arms."""
    body = np.array([rng.uniform(0.022, 0.035), rng.uniform(0.018, 0.03), rng.uniform(0.03, 0.045)])
    head = rng.uniform(0.016, 0.028)
    neck = body[2] + 0.7 * head
    torso = block(2 * body) if rng.random() < 0.5 else stack([(body[0], -body[2]), (0.7 * body[0], body[2])])[0]
    parts = [torso, ball([head] * 3, [0.0, 0.0, neck])]
    if rng.random() < 0.6:
        for side in (-1.0, 1.0):
            parts.append(block([0.008, 0.010, 0.03], [side * 0.6 * head, 0.0, neck + head]))
    if rng.random() < 0.6:
        for side in (-1.0, 1.0):
            parts.append(block([0.03, 0.014, 0.014], [side * (body[0] + 0.008), 0.0, rng.uniform(0.0, 0.02)]))
    return parts, None, rng.uniform(150, 400)


def _lamp(rng: np.random.Generator) -> Made:
    """A foot, a stem and a knob, like a chess piece or a candlestick."""
    foot, stem, knob = rng.uniform(0.028, 0.042), rng.uniform(0.009, 0.015), rng.uniform(0.016, 0.03)
    height = rng.uniform(0.09, 0.15)
    profile = [(foot, 0.0), (foot, 0.012), (stem, 0.03), (stem, height)]
    profile += [(knob, height + knob), (0.5 * knob, height + 2 * knob)]
    return stack(profile), lathe(profile), rng.uniform(300, 600)


TOYS: dict[str, Kind] = {
    "ball": _ball,
    "banana": _banana,
    "lamp": _lamp,
    "toy": _toy,
}
