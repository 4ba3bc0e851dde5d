"""Which of a point's six yaws to try next, and when the label is decided whatever the others would do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

YAW_COUNT = 6
# The share of grasps not blocked on the approach that lift something: what to expect of a trial that is still open.
EXPECTED_SUCCESS = 0.65

# One answer for each distinct yaw (the last of the six repeats the first); None = not known.
Known = tuple[bool | None, ...]


def middle_of_widest_run(successes: Sequence[bool]) -> int | None:
    """The index in the middle of the longest run of successes (the first of equals); None without any."""
    best: range | None = None
    start = 0
    for index, success in enumerate([*successes, False]):
        if not success:
            if index > start and (best is None or index - start > len(best)):
                best = range(start, index)
            start = index + 1
    return best[len(best) // 2] if best is not None else None


def next_yaw(known: Known) -> int | None:
    """The yaw to try next so that the fewest trials are to be expected; None when the label is decided."""
    return _fewest_trials(known)[1]


@cache
def _fewest_trials(known: Known) -> tuple[float, int | None]:
    """How many trials are to be expected from here, and the yaw to begin with."""
    if _is_decided(known):
        return 0.0, None
    choices = []
    for yaw in (yaw for yaw, success in enumerate(known) if success is None):
        lifted, failed = (_fewest_trials((*known[:yaw], end, *known[yaw + 1 :]))[0] for end in (True, False))
        choices.append((1.0 + EXPECTED_SUCCESS * lifted + (1.0 - EXPECTED_SUCCESS) * failed, yaw))
    return min(choices)


def _is_decided(known: Known) -> bool:
    """Whether every way in which the open trials may end gives the same yaw."""
    ends = product(*((True, False) if success is None else (success,) for success in known))
    return len({middle_of_widest_run([*end, end[0]]) for end in ends}) == 1
