"""Selection policies: in which order the grasps of one detection are tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.grasp import Grasp, T_workspace_tcp_from_grasp_origin
from giga_perception.selection_policy import POLICY_NAMES, ordered, policy_named


def grasp(quality: float, height_m: float, *, tilted_deg: float = 180.0) -> Grasp:
    """A grasp whose centre has this height; tilted by 180 degrees it comes straight down."""
    origin = RigidTransform.from_components([0.1, 0.2, height_m], Rotation.from_euler("x", tilted_deg, degrees=True))
    return Grasp(T_workspace_tcp_from_grasp_origin(origin), 0.04, quality)


# Best first, as a detector gives them. The second's centre is the highest, though its TCP is not.
RANKED = (grasp(0.95, 0.10), grasp(0.9, 0.15), grasp(0.8, 0.13, tilted_deg=90.0), grasp(0.6, 0.10), grasp(0.5, 0.25))


def indices(chosen: Sequence[Grasp]) -> list[int]:
    return [next(i for i, candidate in enumerate(RANKED) if candidate is one) for one in chosen]


def test_best_takes_the_highest_quality_first_whatever_order_they_come_in() -> None:
    assert indices(ordered(RANKED, policy_named("best"))) == [0, 1, 2, 3, 4]
    assert indices(ordered(RANKED[::-1], policy_named("best"))) == [0, 1, 2, 3, 4]


def test_highest_takes_the_highest_centre_of_those_above_one_half() -> None:
    # Equally high (first and fourth): the better one first. Exactly one half is not above it, however high it lies.
    assert RANKED[2].T_workspace_tcp.translation[2] > RANKED[1].T_workspace_tcp.translation[2]
    assert indices(ordered(RANKED, policy_named("highest"))) == [1, 2, 0, 3, 4]


def test_random_repeats_with_its_seed_and_gives_each_a_turn() -> None:
    first, same = (policy_named("random", np.random.default_rng(3)) for _ in range(2))
    orders = [indices(ordered(RANKED, first)) for _ in range(200)]
    assert orders == [indices(ordered(RANKED, same)) for _ in range(200)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    counts = np.bincount([order[0] for order in orders], minlength=5)
    assert counts.min() > 20


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_nothing_to_choose_from_is_no_error(name: str) -> None:
    assert ordered((), policy_named(name)) == ()


def test_a_callers_own_policy_orders_and_may_leave_some_out() -> None:
    assert indices(ordered(RANKED, lambda grasps: [grasps[2], grasps[0]])) == [2, 0]


def test_a_policy_that_makes_grasps_up_is_refused() -> None:
    with pytest.raises(ValueError, match="that it was given"):
        ordered(RANKED, lambda grasps: [grasp(1.0, 0.1)])
    with pytest.raises(ValueError, match="each once at most"):
        ordered(RANKED, lambda grasps: [grasps[0], grasps[0]])


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'lowest': say one of best, highest, random"):
        policy_named("lowest")
