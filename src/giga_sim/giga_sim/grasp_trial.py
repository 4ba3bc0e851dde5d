"""One grasp, tried by the free hand: pre-grasp, approach, close, retreat, and whether something was lifted.

VGN's rule. Generation and benchmark differ in one thing: what a contact on the approach means.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_sim.gripper_hand import MAX_WIDTH_M, PARKED, ApproachSweep, GripperHand
from giga_sim.physics_world import STEP_RATE_HZ, PhysicsWorld

PRE_GRASP_DISTANCE_M = 0.05
RETREAT_DISTANCE_M = 0.10
SPEED_M_S = 0.10
APPROACH_STRIDE_M = 0.002
CLOSING_TIME_S = 0.5
LEAST_OPENING_M = 0.1 * MAX_WIDTH_M
# Fingers this far shut hold nothing, and nothing can open them again: the trial's end is known.
SHUT_M = 0.5 * LEAST_OPENING_M
# An approach further than this from straight down is followed by a retreat straight up.
SIDE_GRASP_ANGLE_RAD = np.pi / 3.0
SHUT_CHECK_STEPS = 8
# Fingers slower than this at so many looks in a row, one every few steps, have finished closing.
STILL_M_S = 0.002
STILL_CHECKS = 4
CHECK_STEPS = 4


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
    steps = _steps_for(PRE_GRASP_DISTANCE_M)
    covered = 0
    for place in hand.path(T_workspace_pre, forwards * PRE_GRASP_DISTANCE_M, steps):
        hand.steer(place)
        world.step()
        covered += 1
        if hand.touched():
            break
    reached = RigidTransform.from_translation(forwards * PRE_GRASP_DISTANCE_M * covered / steps) * T_workspace_pre
    return _close_and_retreat(world, hand, reached)


class LabelTrials:
    """Tries many grasps for labels in one scene, which stands unmoved before each of them.

    Any contact before the fingers close is a failure, so the approach moves nothing: it is settled by geometry, and the
    physics begins with the hand in place. A trial ends as soon as its outcome is certain.
    """

    def __init__(self, world: PhysicsWorld, hand: GripperHand) -> None:
        self._world, self._hand = world, hand
        self._sweep = ApproachSweep(world, PRE_GRASP_DISTANCE_M)
        hand.teleport(PARKED)
        self._obstacles = (*world.immovable, *world.objects)
        self._untouched = world.client.saveState()

    def __call__(self, T_workspace_grasp: RigidTransform) -> TrialOutcome:
        """Try a grasp, given by the pose of VGN's grasp origin."""
        if self._sweep.meets(T_workspace_grasp, self._obstacles):
            return TrialOutcome(TrialEnd.APPROACH_BLOCKED)
        self._hand.teleport(T_workspace_grasp)
        self._world.step()
        if self._hand.touched():
            outcome = TrialOutcome(TrialEnd.APPROACH_BLOCKED)
        else:
            outcome = _close_and_retreat(self._world, self._hand, T_workspace_grasp, until_still=True)
        self._world.client.restoreState(self._untouched)
        return outcome


def _close_and_retreat(
    world: PhysicsWorld, hand: GripperHand, T_workspace_grasp: RigidTransform, until_still: bool = False
) -> TrialOutcome:
    """until_still: start the retreat as soon as the fingers stand still, instead of after the full time."""
    hand.set_opening(0.0)
    still = 0
    for _ in range(round(CLOSING_TIME_S * STEP_RATE_HZ / CHECK_STEPS)):
        for _ in range(CHECK_STEPS):
            world.step()
        opening_m, rate_m_s = hand.opening_and_rate()
        if opening_m < SHUT_M:
            return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)
        still = still + 1 if abs(rate_m_s) < STILL_M_S else 0
        if until_still and still >= STILL_CHECKS:
            break
    if not hand.touched():
        return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)
    approach = T_workspace_grasp.rotation.as_matrix()[:, 2]
    from_down_rad = np.arccos(np.clip(-approach[2], -1.0, 1.0))
    direction = np.array([0.0, 0.0, 1.0]) if from_down_rad > SIDE_GRASP_ANGLE_RAD else -approach
    places = hand.path(T_workspace_grasp, direction * RETREAT_DISTANCE_M, _steps_for(RETREAT_DISTANCE_M))
    for index, place in enumerate(places):
        hand.steer(place)
        world.step()
        if index % SHUT_CHECK_STEPS == 0 and (hand.opening_m() < SHUT_M or not hand.touched()):
            return TrialOutcome(TrialEnd.LOST)
    touched, opening_m = hand.touched(), hand.opening_m()
    if not touched or opening_m <= LEAST_OPENING_M:
        return TrialOutcome(TrialEnd.LOST)
    return TrialOutcome(TrialEnd.LIFTED, opening_m, min(touched))


def _steps_for(distance_m: float) -> int:
    return round(distance_m / SPEED_M_S * STEP_RATE_HZ)
