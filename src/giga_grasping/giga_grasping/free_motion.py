"""A free motion between two configurations around obstacles: OMPL's RRTConnect, then short cuts.

The search is seeded and limited by the number of configurations checked, so that the same request gives the same path
on any machine; a limit on the wall clock stands behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import ompl.base
import ompl.geometric
import ompl.util
from numpy.typing import NDArray

from giga_grasping.robot_profile import JointLimits

FloatArray = NDArray[np.float64]

CHECK_STEP_RAD = 0.01
"""Distance of the configurations checked along a motion: the largest difference of any joint. A link then moves by a
centimetre at most, and what it can cut off a corner between two free places is less than the clearances."""

_SEARCH_STEP_RAD = 0.02
_SEARCHES = 3
_SHORT_CUT_ROUNDS = 60


def edge_is_free(is_free: Callable[[FloatArray], bool], start_rad: FloatArray, end_rad: FloatArray) -> bool:
    """Whether the straight joint motion is free, its start excepted; checked coarsely first, then finer."""
    count = max(1, int(np.ceil(np.abs(end_rad - start_rad).max() / CHECK_STEP_RAD)))
    return all(is_free(start_rad + (end_rad - start_rad) * (k / count)) for k in _coarse_to_fine(count))


def plan_free_motion(
    is_free: Callable[[FloatArray], bool],
    limits: JointLimits,
    start_rad: FloatArray,
    goal_rad: FloatArray,
    seed: int,
    max_checks: int,
    deadline_s: float,
) -> FloatArray | None:
    """Find a path.

    Args:
        is_free: whether the arm may be in a configuration [7].
        limits: of the joints; only positions are used.
        start_rad: free configuration [7].
        goal_rad: free configuration [7].
        seed: of the random search, not below zero.
        max_checks: give up after so many calls of `is_free`.
        deadline_s: give up at this reading of time.monotonic().

    Returns:
        Corners [N, 7] of a free path, straight between them, start and goal included; None when none was found.
    """
    if edge_is_free(is_free, start_rad, goal_rad):
        return np.array([start_rad, goal_rad])
    for repetition in range(_SEARCHES):
        path = _search(is_free, limits, start_rad, goal_rad, seed + repetition, max_checks, deadline_s)
        if path is None:
            return None
        # The search looks at motions coarsely, and may have passed through a corner of something.
        if all(edge_is_free(is_free, a, b) for a, b in pairwise(path)):
            return _short_cut(is_free, path, np.random.default_rng(seed), deadline_s)
    return None


def _search(
    is_free: Callable[[FloatArray], bool],
    limits: JointLimits,
    start_rad: FloatArray,
    goal_rad: FloatArray,
    seed: int,
    max_checks: int,
    deadline_s: float,
) -> FloatArray | None:
    joint_count = len(start_rad)
    ompl.util.noOutputHandler()
    # Every random generator that the planner makes from here on is seeded from this.
    # Zero would mean a seed from the clock.
    ompl.util.RNG.setSeed(seed + 1)
    space = ompl.base.RealVectorStateSpace()
    for lower, upper in zip(limits.lower_rad, limits.upper_rad, strict=True):
        space.addDimension(float(lower), float(upper))
    checks = 0

    def state_is_free(state: ompl.base.State) -> bool:
        nonlocal checks
        checks += 1
        return is_free(np.array([state[joint] for joint in range(joint_count)]))

    information = ompl.base.SpaceInformation(space)
    information.setStateValidityChecker(state_is_free)
    information.setStateValidityCheckingResolution(_SEARCH_STEP_RAD / space.getMaximumExtent())
    information.setup()
    problem = ompl.base.ProblemDefinition(information)
    states = []
    for configuration in (start_rad, goal_rad):
        state = space.allocState()
        for joint in range(joint_count):
            state[joint] = float(configuration[joint])
        states.append(state)
    problem.setStartAndGoalStates(states[0], states[1])
    planner = ompl.geometric.RRTConnect(information)
    planner.setProblemDefinition(problem)
    planner.setRange(1.0)
    planner.setup()
    planner.solve(ompl.base.PlannerTerminationCondition(lambda: checks >= max_checks or time.monotonic() > deadline_s))
    if not problem.hasExactSolution():
        return None
    path = problem.getSolutionPath()
    return np.array([[path.getState(k)[joint] for joint in range(joint_count)] for k in range(path.getStateCount())])


def _short_cut(
    is_free: Callable[[FloatArray], bool], path: FloatArray, rng: np.random.Generator, deadline_s: float
) -> FloatArray:
    """Replace stretches between two random points of the path by straight ones where those are free and shorter."""
    for _ in range(_SHORT_CUT_ROUNDS):
        if len(path) < 3 or time.monotonic() > deadline_s:
            break
        lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
        ends = np.concatenate([[0.0], np.cumsum(lengths)])
        first, last = np.sort(rng.uniform(0.0, ends[-1], 2))
        i, j = (int(np.clip(np.searchsorted(ends, s, side="right") - 1, 0, len(lengths) - 1)) for s in (first, last))
        if i == j:
            continue
        a = path[i] + (path[i + 1] - path[i]) * ((first - ends[i]) / lengths[i])
        b = path[j] + (path[j + 1] - path[j]) * ((last - ends[j]) / lengths[j])
        if edge_is_free(is_free, a, b):
            path = _without_repeats(np.concatenate([path[: i + 1], [a, b], path[j + 1 :]]))
    return _without_needless_corners(is_free, path)


def _without_needless_corners(is_free: Callable[[FloatArray], bool], path: FloatArray) -> FloatArray:
    """Drop each corner that can be left out."""
    corner = 1
    while corner < len(path) - 1:
        if edge_is_free(is_free, path[corner - 1], path[corner + 1]):
            path = np.delete(path, corner, axis=0)
        else:
            corner += 1
    return path


def _without_repeats(path: FloatArray) -> FloatArray:
    moved = np.abs(np.diff(path, axis=0)).max(axis=1) > 1e-6
    kept = path[np.concatenate([[True], moved])]
    kept[-1] = path[-1]
    return kept


def _coarse_to_fine(count: int) -> list[int]:
    """1..count, the end first, then in the order in which halving reaches them: a collision is mostly met early."""
    order = [count]
    stride = 1
    while stride < count:
        stride *= 2
    while stride >= 1:
        order += list(range(stride, count, 2 * stride))
        stride //= 2
    return order
