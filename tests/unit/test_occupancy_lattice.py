"""Coarse to fine: the same surface as asking everywhere, for a fraction of the questions; and what it cannot see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from giga_perception.occupancy_lattice import COARSEST_CELLS, occupancy_lattice

Field = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def ball(centre: tuple[float, float, float], radius: float, slope: float) -> Field:
    """Positive within the ball; `slope` logits a cube length."""
    return lambda points: (slope * (radius - np.linalg.norm(points - np.float32(centre), axis=1))).astype(np.float32)


def union(*fields: Field) -> Field:
    return lambda points: np.max([field(points) for field in fields], axis=0)


def snake(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """A winding tube half a coarse cell thick: most coarse points pass it by, but it is one piece."""
    x, y, z = points.T
    from_axis = np.hypot(y - 0.12 * np.sin(20 * x), z - 0.12 * np.cos(20 * x))
    return (1000.0 * np.minimum(0.6 / COARSEST_CELLS - from_axis, 0.4 - np.abs(x))).astype(np.float32)


class Counted:
    """A field, and how many points it was asked for."""

    def __init__(self, field: Field) -> None:
        self.field, self.asked = field, 0

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += len(points)
        return self.field(points)


def at_the_surface(volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Lattice points that share an edge with one of the other sign."""
    touches = np.zeros(volume.shape, dtype=bool)
    for axis in range(3):
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        crossed = (volume[tuple(ahead)] > 0) != (volume[tuple(behind)] > 0)
        touches[tuple(ahead)] |= crossed
        touches[tuple(behind)] |= crossed
    return touches


SHAPES: dict[str, Field] = {
    "a ball": ball((0.05, -0.1, 0.02), 0.21, 60.0),
    "two balls, one at the side": union(ball((-0.2, 0.1, 0.0), 0.1, 60.0), ball((0.5, 0.3, -0.4), 0.25, 60.0)),
    "a thin winding tube": snake,
    "everything": lambda points: np.full(len(points), 5.0, np.float32),
    "nothing": lambda points: np.full(len(points), -5.0, np.float32),
}


@pytest.mark.parametrize("cells", [20, 40, 45, 60, 80, 97, 160])
@pytest.mark.parametrize("name", SHAPES)
def test_coarse_to_fine_is_the_dense_evaluation(name: str, cells: int) -> None:
    field = Counted(SHAPES[name])
    volume = occupancy_lattice(field, cells)
    dense = occupancy_lattice(SHAPES[name], cells, coarsest_cells=cells)
    assert volume.shape == dense.shape == (cells + 1,) * 3
    np.testing.assert_array_equal(volume > 0, dense > 0)
    surface = at_the_surface(dense)
    np.testing.assert_array_equal(volume[surface], dense[surface])
    if cells >= 80 and name != "everything":
        assert field.asked < dense.size / 4


def test_asking_everywhere_gives_what_was_answered() -> None:
    coordinates = np.linspace(-0.5, 0.5, 13, dtype=np.float32)
    points = np.stack(np.meshgrid(coordinates, coordinates, coordinates, indexing="ij"), axis=-1).reshape(-1, 3)
    field = ball((0.0, 0.0, 0.0), 0.33, 60.0)
    np.testing.assert_allclose(occupancy_lattice(field, 12).reshape(-1), field(points), atol=1e-3)


@pytest.mark.parametrize("cells", [10, 40, 45])
def test_nothing_is_occupied_on_the_faces_and_no_logit_is_zero(cells: int) -> None:
    volume = occupancy_lattice(lambda points: np.zeros(len(points), np.float32), cells)
    assert (volume[1:-1, 1:-1, 1:-1] > 0).all()
    inside = np.zeros(volume.shape, dtype=bool)
    inside[1:-1, 1:-1, 1:-1] = True
    assert (volume[~inside] < 0).all()


def speck(slope: float) -> Field:
    """A ball smaller than a coarse cell, right between the coarse points."""
    middle = 0.5 / COARSEST_CELLS
    return ball((middle, middle, middle), 0.3 / COARSEST_CELLS, slope)


def test_a_speck_between_the_coarse_points_is_found_where_they_are_in_doubt() -> None:
    assert (occupancy_lattice(speck(40.0), 80) > 0).any()


def test_a_speck_of_which_the_coarse_points_know_nothing_is_missed() -> None:
    assert (occupancy_lattice(speck(4000.0), 80, coarsest_cells=80) > 0).any()
    assert not (occupancy_lattice(speck(4000.0), 80) > 0).any()
