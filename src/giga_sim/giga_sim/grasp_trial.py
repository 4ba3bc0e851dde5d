"""One grasp, tried by the free hand: pre-grasp, approach, close, retreat, and whether something was lifted.

VGN's rule. Generation and benchmark differ in one thing: what a contact on the approach means.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_sim.gripper_hand import MAX_WIDTH_M, GripperHand
from giga_sim.physics_world import STEP_RATE_HZ, PhysicsWorld

PRE_GRASP_DISTANCE_M = 0.05
RETREAT_DISTANCE_M = 0.10
SPEED_M_S = 0.10
CLOSING_TIME_S = 0.5
LEAST_OPENING_M = 0.1 * MAX_WIDTH_M
# Fingers this far shut hold nothing, and nothing can open them again: the trial's end is known.
SHUT_M = 0.5 * LEAST_OPENING_M
# An approach further than this from straight down is followed by a retreat straight up.
SIDE_GRASP_ANGLE_RAD = np.pi / 3.0
CLOSING_CHECK_STEPS = 4
RETREAT_CHECK_STEPS = 8


class TrialEnd(Enum):
    """How a trial ended."""

    LIFTED = "lifted"
    PRE_GRASP_BLOCKED = "contact at the pre-grasp"
    APPROACH_BLOCKED = "contact on the approach"
    CLOSED_ON_NOTHING = "closed on nothing"
    LOST = "lost on the retreat"


@dataclass(frozen=True)
class TrialOutcome:
    """A trial's end, the opening while holding (0 when nothing was lifted) and the lifted body."""

    end: TrialEnd
    width_m: float = 0.0
    body_id: int | None = None

    @property
    def success(self) -> bool:
        return self.end is TrialEnd.LIFTED


def try_for_benchmark(world: PhysicsWorld, hand: GripperHand, T_workspace_grasp: RigidTransform) -> TrialOutcome:
    """Try a grasp as the authors' benchmark does: a contact on the approach ends it, and the hand closes there.

    Physics runs all the way. T_workspace_grasp: VGN's grasp origin.
    """
    forwards = T_workspace_grasp.rotation.as_matrix()[:, 2]
    T_workspace_pre = RigidTransform.from_translation(-PRE_GRASP_DISTANCE_M * forwards) * T_workspace_grasp
    hand.teleport(T_workspace_pre)
    if hand.touches_at(hand.path(T_workspace_pre, np.zeros(3), 1)[0]):
        return TrialOutcome(TrialEnd.PRE_GRASP_BLOCKED)
    steps = steps_for(PRE_GRASP_DISTANCE_M)
    covered = 0
    for place in hand.path(T_workspace_pre, forwards * PRE_GRASP_DISTANCE_M, steps):
        hand.steer(place)
        world.step()
        covered += 1
        if hand.touched():
            break
    reached = RigidTransform.from_translation(forwards * PRE_GRASP_DISTANCE_M * covered / steps) * T_workspace_pre
    return _close_and_retreat(world, hand, reached)


def retreat_direction(T_workspace_grasp: RigidTransform) -> NDArray[np.float64]:
    """The unit vector [3], in `workspace`, of the retreat: back the way it came, or straight up after a side grasp."""
    approach = T_workspace_grasp.rotation.as_matrix()[:, 2]
    from_down_rad = np.arccos(np.clip(-approach[2], -1.0, 1.0))
    return np.array([0.0, 0.0, 1.0]) if from_down_rad > SIDE_GRASP_ANGLE_RAD else -approach


def steps_for(distance_m: float) -> int:
    """How many steps of physics the hand takes for a distance."""
    return round(distance_m / SPEED_M_S * STEP_RATE_HZ)


def _close_and_retreat(world: PhysicsWorld, hand: GripperHand, T_workspace_grasp: RigidTransform) -> TrialOutcome:
    hand.set_opening(0.0)
    for _ in range(round(CLOSING_TIME_S * STEP_RATE_HZ / CLOSING_CHECK_STEPS)):
        for _ in range(CLOSING_CHECK_STEPS):
            world.step()
        if hand.opening_m() < SHUT_M:
            return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)
    if not hand.touched():
        return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)
    shift_m = retreat_direction(T_workspace_grasp) * RETREAT_DISTANCE_M
    for index, place in enumerate(hand.path(T_workspace_grasp, shift_m, steps_for(RETREAT_DISTANCE_M))):
        hand.steer(place)
        world.step()
        if index % RETREAT_CHECK_STEPS == 0 and (hand.opening_m() < SHUT_M or not hand.touched()):
            return TrialOutcome(TrialEnd.LOST)
    touched, opening_m = hand.touched(), hand.opening_m()
    if not touched or opening_m <= LEAST_OPENING_M:
        return TrialOutcome(TrialEnd.LOST)
    return TrialOutcome(TrialEnd.LIFTED, opening_m, min(touched))
