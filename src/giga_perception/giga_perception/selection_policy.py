"""Which of the ranked grasps is tried first: the best, the highest (SHAF), any, or what a caller's own function says.

A policy is a function from the grasps of one detection, best first, to the same grasps in the order in which they are
to be tried. Whoever executes takes them in that order; whoever wants ONE grasp takes the first.

    policy = policy_named("random", np.random.default_rng(7))
    to_try = ordered(detection.grasps, policy)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from giga_perception.grasp import Grasp, T_workspace_grasp_origin_from_tcp

SelectionPolicy = Callable[[Sequence[Grasp]], Sequence[Grasp]]
"""Grasps best first -> grasps in the order of trial. It may leave some out, and must not make any up."""

POLICY_NAMES = ("best", "highest", "random")

# SHAF looks only at grasps of more than this quality (paper, section V-B).
SHAF_QUALITY = 0.5


def best_first(grasps: Sequence[Grasp]) -> Sequence[Grasp]:
    """By falling quality; equal ones stay in the order given."""
    return sorted(grasps, key=lambda grasp: -grasp.quality)


def highest_first(grasps: Sequence[Grasp]) -> Sequence[Grasp]:
    """SHAF: those of a quality above SHAF_QUALITY by falling height (workspace z) of their centre, then the others.

    A centre is the point that the network was asked about, the origin of VGN's grasp frame, not the TCP. Equally high
    grasps come best first, and so do the others.
    """
    ranked = best_first(grasps)
    good = [grasp for grasp in ranked if grasp.quality > SHAF_QUALITY]
    others = [grasp for grasp in ranked if grasp.quality <= SHAF_QUALITY]
    return sorted(good, key=lambda grasp: -_centre_height_m(grasp)) + others


def random_order(rng: np.random.Generator) -> SelectionPolicy:
    """A policy that draws every order equally often from `rng`, a new one each time it is asked."""

    def shuffled(grasps: Sequence[Grasp]) -> Sequence[Grasp]:
        return [grasps[index] for index in rng.permutation(len(grasps))]

    return shuffled


def policy_named(name: str, rng: np.random.Generator | None = None) -> SelectionPolicy:
    """The policy of this name, one of POLICY_NAMES.

    rng: what "random" draws from; None means a generator seeded by the system. Raises ValueError for another name.
    """
    if name == "best":
        return best_first
    if name == "highest":
        return highest_first
    if name == "random":
        return random_order(np.random.default_rng() if rng is None else rng)
    raise ValueError(f"no selection policy is named {name!r}: say one of {', '.join(POLICY_NAMES)}")


def ordered(grasps: Sequence[Grasp], policy: SelectionPolicy) -> tuple[Grasp, ...]:
    """The grasps in the order in which `policy` wants them tried.

    Raises ValueError when a caller's own policy returns a grasp twice, or one that it was not given.
    """
    chosen = tuple(policy(grasps))
    given = {id(grasp) for grasp in grasps}
    if not {id(grasp) for grasp in chosen} <= given or len({id(grasp) for grasp in chosen}) != len(chosen):
        raise ValueError(
            f"the selection policy {getattr(policy, '__name__', policy)!r} must return grasps that it was given, "
            "each once at most"
        )
    return chosen


def _centre_height_m(grasp: Grasp) -> float:
    return float(T_workspace_grasp_origin_from_tcp(grasp.T_workspace_tcp).translation[2])
