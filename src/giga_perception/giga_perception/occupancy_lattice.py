"""Occupancy at the points of a fine lattice, asked for only where the surface passes: coarse to fine.

First every point of a coarse lattice is asked for. A cell whose corners disagree, or come close to it, is divided, and
its new points are asked for; and so on down to the finest lattice. At each step the surface is followed out of the
divided cells: whatever cell turns out to have corners that disagree gets all of them asked for.

So on the finest lattice every piece of the surface that a divided cell touched is exact: the same values as if all
points had been asked for. Every other point holds a value of its coarse cell's sign. What can be missed is a piece, or
a hollow in one, that fits between the points of the coarse lattice while all the corners around it are sure of the
opposite.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Cells of the coarsest lattice along each side, at least: 15 mm each, less than anything that a hand can pick up.
COARSEST_CELLS = 20

# A cell is divided, too, when a corner's logit comes this close to zero for each cube length of the cell's side. Logits
# change by 1 to 2 over the 15 mm of a coarse cell; a surface nearer than that may pass inside.
_LOGITS_PER_CUBE = 40.0

# Logit forced on the faces of the cube where it would be occupied, so that the surface closes there. Small, so that it
# closes near the face.
_BORDER_LOGIT = np.float32(-0.01)

# Logits smaller than this are moved to it. A logit of zero would put several vertices on one lattice point, and the
# surface would not be closed.
_LEAST_LOGIT = np.float32(1e-3)

_OUTSIDE_LOGIT = np.float32(-1e6)


def occupancy_lattice(
    logits_at: Callable[[NDArray[np.float32]], NDArray[np.float32]], cells: int, coarsest_cells: int = COARSEST_CELLS
) -> Volume:
    """Logits [cells + 1, ...] at the corners of `cells`^3 cells, none of them 0, and none occupied on the cube's faces.

    logits_at: the logits [N] at cube coordinates [N, 3], -0.5 to 0.5; positive is occupied. coarsest_cells: cells a
    side to begin with, at least; with `cells` or more, every point is asked for.
    """
    step = max(1, cells // coarsest_cells)
    coordinates = np.linspace(-0.5, 0.5, cells + 1, dtype=np.float32)

    def answers(level: Mask, step: int) -> Volume:
        """Logits at the points of a lattice of every `step`-th point that are marked."""
        index = np.argwhere(level) * step
        within = (index <= cells).all(axis=1)
        logits = np.full(len(index), _OUTSIDE_LOGIT)
        logits[within] = _closed(logits_at(coordinates[index[within]]), index[within], cells)
        return logits

    # The lattice may reach beyond the cube, so that it divides evenly; nothing is there.
    known: Mask = np.ones((-(-cells // step) + 1,) * 3, dtype=bool)
    logits = answers(known, step).reshape(known.shape)
    while step > 1:
        parts = _smallest_divisor(step)
        margin = _LOGITS_PER_CUBE * step / cells
        wanted = _corners_of(_undecided(logits, margin), parts)
        finer_known: Mask = np.zeros(wanted.shape, dtype=bool)
        finer_known[::parts, ::parts, ::parts] = known
        logits = _spread(logits, parts)
        step //= parts
        wanted &= ~finer_known
        while wanted.any():
            logits[wanted] = answers(wanted, step)
            finer_known |= wanted
            wanted = _corners_of(_undecided(logits, 0.0), 1) & ~finer_known
        known = finer_known
    volume: Volume = logits[: cells + 1, : cells + 1, : cells + 1]
    return volume


def _closed(logits: NDArray[np.float32], index: NDArray[np.intp], cells: int) -> NDArray[np.float32]:
    """The logits with nothing occupied on the faces of the cube, and none too close to zero."""
    away_from_zero = np.copysign(np.maximum(np.abs(logits), _LEAST_LOGIT), logits)
    on_face = ((index == 0) | (index == cells)).any(axis=1)
    return np.where(on_face, np.minimum(away_from_zero, _BORDER_LOGIT), away_from_zero)


def _undecided(logits: Volume, margin: float) -> Mask:
    """Cells [n - 1, ...] not all of whose corners are occupied, or free, by at least the margin."""
    return _any_corner(logits > -margin) & _any_corner(logits < margin)


def _any_corner(points: Mask) -> Mask:
    """Cells [n - 1, ...] with at least one marked corner."""
    pairs = points[:-1] | points[1:]
    pairs = pairs[:, :-1] | pairs[:, 1:]
    return pairs[:, :, :-1] | pairs[:, :, 1:]


def _corners_of(cells: Mask, parts: int) -> Mask:
    """Points of the lattice `parts` times as fine that lie in or on a marked cell."""
    size = len(cells) * parts + 1
    points = np.zeros((size,) * 3, dtype=bool)
    inside = np.indices((parts + 1,) * 3).reshape(3, -1).T
    index = np.argwhere(cells)[:, None] * parts + inside
    points[tuple(index.reshape(-1, 3).T)] = True
    return points


def _spread(logits: Volume, parts: int) -> Volume:
    """The lattice made finer: each new point takes the value of the old one below it, along each axis."""
    fine = logits
    for axis in range(3):
        fine = np.repeat(fine, parts, axis=axis)
    size = (len(logits) - 1) * parts + 1
    return np.ascontiguousarray(fine[:size, :size, :size])


def _smallest_divisor(number: int) -> int:
    """The smallest divisor above 1."""
    return next(divisor for divisor in range(2, number + 1) if number % divisor == 0)
