"""Fewer trials, the same label: whatever the yaws would do."""

from __future__ import annotations

from itertools import product

import pytest

from giga_sim.yaw_choice import middle_of_widest_run, next_yaw


@pytest.mark.parametrize("ends", list(product((True, False), repeat=5)))
@pytest.mark.parametrize("blocked", [(), (0,), (2, 4), (0, 1, 2, 3)])
def test_the_label_is_that_of_all_yaws(ends: tuple[bool, ...], blocked: tuple[int, ...]) -> None:
    truth = [success and yaw not in blocked for yaw, success in enumerate(ends)]
    known: list[bool | None] = [False if yaw in blocked else None for yaw in range(5)]
    while (yaw := next_yaw(tuple(known))) is not None:
        assert known[yaw] is None
        known[yaw] = truth[yaw]
    first, *_ = truth
    decided = [bool(success) for success in known]
    assert middle_of_widest_run([*decided, decided[0]]) == middle_of_widest_run([*truth, first])


def test_what_is_blocked_costs_nothing() -> None:
    assert next_yaw((False,) * 5) is None


def test_of_two_neighbours_the_second_decides() -> None:
    assert next_yaw((False, None, None, False, False)) == 2
    assert next_yaw((False, None, True, False, False)) is None
