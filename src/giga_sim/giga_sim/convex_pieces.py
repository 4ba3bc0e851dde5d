"""A predicted shape as bodies for the physics engine: connected pieces, each cut into convex parts.

Works on the occupancy at the points of a lattice. A part that holds more free points than it may is cut in two at a
lattice plane, along the axis that leaves the fewest; so flat faces stay flat, and a bowl becomes a ring of segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import marching_cubes

from giga_perception.workspace import WORKSPACE_SIZE_M

# A piece of fewer points is a speck: nothing that a hand could hold or would have to mind.
LEAST_POINTS = 12
# A part may hold so many free points, and this share of its occupied ones.
FREE_POINTS = 3
FREE_SHARE = 0.1
MOST_CUTS = 24

Points = NDArray[np.float64]
Box = tuple[Points, Points]
"""Lowest and highest lattice index [3] of a part, both included; parts share the plane they were cut at."""


@dataclass(frozen=True, eq=False)
class Piece:
    """parts: corners [n, 3] of each convex part, workspace metres. volume_m3: of the occupied lattice cells."""

    parts: tuple[Points, ...]
    volume_m3: float


@dataclass(frozen=True, eq=False)
class _Part:
    box: Box
    corners: Points
    free: int
    occupied: int

    @property
    def good(self) -> bool:
        return self.free <= FREE_POINTS + FREE_SHARE * self.occupied


def convex_pieces(logits: NDArray[np.float32]) -> list[Piece]:
    """The pieces of a lattice of logits [n + 1, ...] over the cube (`occupancy_lattice`), the largest first."""
    cell_m = WORKSPACE_SIZE_M / (len(logits) - 1)
    labels = ndimage.label(logits > 0.0)[0]
    pieces = []
    for index, around in enumerate(ndimage.find_objects(labels), start=1):
        mine = labels[around] == index
        points = int(mine.sum())
        if points < LEAST_POINTS:
            continue
        offset = np.array([side.start for side in around])
        parts = _parts(mine, _surface(logits, around, labels, index))
        pieces.append(Piece(tuple((part.corners + offset) * cell_m for part in parts), points * cell_m**3))
    return sorted(pieces, key=lambda piece: -piece.volume_m3)


def _surface(logits: NDArray[np.float32], around: tuple[slice, ...], labels: NDArray[np.intp], index: int) -> Points:
    """Where the piece's surface crosses the lattice's edges [n, 3], in lattice units from the start of `around`."""
    wide = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in around)
    others = (labels[wide] != index) & (labels[wide] != 0)
    alone = np.where(others, np.float32(-5.0), logits[wide])
    vertices = marching_cubes(alone, level=0.0, gradient_direction="ascent")[0]
    starts = np.array([side.start for side in wide]) - np.array([side.start for side in around])
    return np.asarray(vertices + starts, dtype=np.float64)


def _parts(mine: NDArray[np.bool_], surface: Points) -> list[_Part]:
    inside = np.argwhere(mine).astype(np.float64)
    outside = np.argwhere(~mine).astype(np.float64)
    # The surface lies up to a cell beyond the occupied points.
    whole = (np.full(3, -1.0), np.array(mine.shape, dtype=np.float64))
    first = _part(whole, inside, outside, surface)
    done: list[_Part] = []
    waiting = [first] if first else []
    cuts = 0
    while waiting:
        part = max(waiting, key=lambda one: one.free)
        waiting.remove(part)
        if part.good or cuts >= MOST_CUTS:
            done.append(part)
            continue
        halves = _best_cut(part, inside, outside, surface)
        if halves is None:
            done.append(part)
            continue
        cuts += 1
        waiting += halves
    return done


def _best_cut(part: _Part, inside: Points, outside: Points, surface: Points) -> list[_Part] | None:
    """The two parts by the cut that leaves the fewest free points; None when no cut helps."""
    best: list[_Part] | None = None
    lower, upper = part.box
    corners_lower, corners_upper = part.corners.min(axis=0), part.corners.max(axis=0)
    for axis in range(3):
        at = round((corners_lower[axis] + corners_upper[axis]) / 2.0)
        if not lower[axis] < at < upper[axis]:
            continue
        below, above = upper.copy(), lower.copy()
        below[axis] = above[axis] = at
        halves = [_part(box, inside, outside, surface) for box in ((lower, below), (above, upper))]
        kept = [half for half in halves if half is not None]
        if kept and (best is None or sum(h.free for h in kept) < sum(h.free for h in best)):
            best = kept
    return best if best and sum(half.free for half in best) <= part.free else None


def _part(box: Box, inside: Points, outside: Points, surface: Points) -> _Part | None:
    """The hull of what of the piece lies in the box; None when that is flat."""
    own = _within(inside, box)
    corners = np.vstack([own, _within(surface, box)])
    if len(corners) < 4:
        return None
    try:
        hull = ConvexHull(corners)
    except QhullError:
        return None
    planes = np.unique(np.round(hull.equations, 6), axis=0)
    near = _within(outside, (corners.min(axis=0), corners.max(axis=0)))
    free = int(np.all(near @ planes[:, :3].T + planes[:, 3] < -0.05, axis=1).sum())
    return _Part(box, corners[hull.vertices], free, len(own))


def _within(points: Points, box: Box) -> Points:
    chosen: Points = points[np.all((points >= box[0]) & (points <= box[1]), axis=1)]
    return chosen
