"""Many grasps tried in one unmoved scene, each only as far as its outcome is open.

The outcomes are those of the plain trial (reference_trials.py), for a fraction of its time:

* Any contact before the fingers close is a failure, so the approach moves nothing: geometry settles it, and where that
  is too close to call, the physics engine's contacts do. Physics begins at the end of the approach, with the hand where
  its holder has pulled it and as fast as it then is.
* The retreat begins when the fingers stand still.
* It ends when the object moves with the hand and touches nothing else, or when the fingers have shut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_sim.approach_sweep import ApproachSweep
from giga_sim.grasp_trial import (
    CLOSING_TIME_S,
    LEAST_OPENING_M,
    PRE_GRASP_DISTANCE_M,
    RETREAT_DISTANCE_M,
    SHUT_M,
    SPEED_M_S,
    TrialEnd,
    TrialOutcome,
    retreat_direction,
    steps_for,
)
from giga_sim.gripper_hand import FINGER_LINKS, HOLDER_ERP, PARKED, GripperHand
from giga_sim.physics_world import STEP_RATE_HZ, PhysicsWorld

# Each step the holder takes up this share of the hand's distance from where it is steered: a hand steered at constant
# speed trails behind.
LAG_M = SPEED_M_S / STEP_RATE_HZ * (1.0 / HOLDER_ERP - 1.0)
# The contacts of a step are those of the place before it, so the last place of the approach is never asked about.
UNSEEN_M = SPEED_M_S / STEP_RATE_HZ
# PyBullet reports contacts between surfaces that are still a little apart, how far depends on their sizes: nearer than
# the first of these distances it always does, further than the second never.
SURELY_MET_M = 0.0006
SURELY_CLEAR_M = 0.0025
# The places of the approach whose contacts are then asked for: every so many steps, 1.7 mm.
LOOK_STEPS = 4
# A third of what settles a scene. Outcomes against plain trials stay what they are, at half the time.
SOLVER_ITERATIONS = 50
CHECK_STEPS = 4
CHECKS_IN_A_ROW = 2
# Fingers slower than this stand still.
STILL_M_S = 0.005
# An object slower than this against the hand moves with it.
CARRIED_M_S = 0.005
CARRIED_RAD_S = 0.1


class LabelTrials:
    """Tries grasps in a scene that stands unmoved before, between and after them.

    The world keeps the fewer solver iterations until it is reset.
    """

    def __init__(self, world: PhysicsWorld, hand: GripperHand) -> None:
        self._world, self._hand = world, hand
        world.set_solver_iterations(SOLVER_ITERATIONS)
        hand.teleport(PARKED)
        self._sweep = ApproachSweep(world, PRE_GRASP_DISTANCE_M, LAG_M + UNSEEN_M)
        self._untouched = world.client.saveState()

    def __call__(self, T_workspace_grasp: RigidTransform) -> TrialOutcome:
        """Try a grasp, given by the pose of VGN's grasp origin."""
        (blocked,) = self.are_blocked(RigidTransform.concatenate([T_workspace_grasp]))
        return TrialOutcome(TrialEnd.APPROACH_BLOCKED) if blocked else self.try_unblocked(T_workspace_grasp)

    def are_blocked(self, T_workspace_grasps: RigidTransform) -> list[bool]:
        """Of several grasps, whether the open hand would touch anything at the pre-grasp or on the approach.

        Costs next to nothing.
        """
        blocked = []
        quaternions = T_workspace_grasps.rotation.as_quat()
        for matrix, quaternion in zip(T_workspace_grasps.as_matrix(), quaternions, strict=True):
            clearance_m = self._sweep.clearance_m(matrix, quaternion, SURELY_MET_M, SURELY_CLEAR_M)
            in_doubt = SURELY_MET_M < clearance_m <= SURELY_CLEAR_M
            blocked.append(self._touches_on_the_way(matrix) if in_doubt else clearance_m <= SURELY_MET_M)
        return blocked

    def _touches_on_the_way(self, T_workspace_grasp: NDArray[np.float64]) -> bool:
        """Whether the physics engine sees a contact at the pre-grasp or on the approach to this pose [4, 4]."""
        approach_m = PRE_GRASP_DISTANCE_M * T_workspace_grasp[:3, 2]
        T_workspace_pre = RigidTransform.from_translation(-approach_m) * RigidTransform.from_matrix(T_workspace_grasp)
        seen_m = PRE_GRASP_DISTANCE_M - LAG_M - UNSEEN_M
        self._hand.teleport(T_workspace_pre)
        shift_m = seen_m * T_workspace_grasp[:3, 2]
        touches = any(
            self._hand.touches_at(place)
            for place in self._hand.path(T_workspace_pre, shift_m, steps_for(seen_m) // LOOK_STEPS)
        )
        self._world.client.restoreState(self._untouched)
        return touches

    def try_unblocked(self, T_workspace_grasp: RigidTransform) -> TrialOutcome:
        """Close and retreat, where the approach is known not to be blocked."""
        forwards = T_workspace_grasp.rotation.as_matrix()[:, 2]
        self._hand.teleport(RigidTransform.from_translation(-LAG_M * forwards) * T_workspace_grasp)
        self._hand.set_velocity(SPEED_M_S * forwards)
        self._hand.steer(self._hand.path(T_workspace_grasp, np.zeros(3), 1)[0])
        outcome = self._close() or self._retreat(T_workspace_grasp)
        self._world.client.restoreState(self._untouched)
        return outcome

    def _close(self) -> TrialOutcome | None:
        """Close until the fingers stand still; the outcome if that is known then."""
        self._hand.set_opening(0.0)
        still = 0
        for _ in range(round(CLOSING_TIME_S * STEP_RATE_HZ / CHECK_STEPS)):
            for _ in range(CHECK_STEPS):
                self._world.step()
            opening_m, rate_m_s = self._hand.opening_and_rate()
            if opening_m < SHUT_M:
                return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)
            still = still + 1 if abs(rate_m_s) < STILL_M_S else 0
            if still == CHECKS_IN_A_ROW:
                break
        return None if self._hand.touched() else TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)

    def _retreat(self, T_workspace_grasp: RigidTransform) -> TrialOutcome:
        shift_m = retreat_direction(T_workspace_grasp) * RETREAT_DISTANCE_M
        places = self._hand.path(T_workspace_grasp, shift_m, steps_for(RETREAT_DISTANCE_M))
        carried = 0
        for start in range(0, len(places), CHECK_STEPS):
            for place in places[start : start + CHECK_STEPS]:
                self._hand.steer(place)
                self._world.step()
            opening_m, touched = self._hand.opening_m(), self._hand.touched()
            if opening_m < SHUT_M or not touched:
                return TrialOutcome(TrialEnd.LOST)
            carried = carried + 1 if opening_m > LEAST_OPENING_M and self._carries(touched) else 0
            if carried == CHECKS_IN_A_ROW:
                break
        if opening_m <= LEAST_OPENING_M:
            return TrialOutcome(TrialEnd.LOST)
        return TrialOutcome(TrialEnd.LIFTED, opening_m, min(touched))

    def _carries(self, touched: set[int]) -> bool:
        """Whether one body is between both fingers, touches nothing else, and moves with the hand."""
        if len(touched) != 1:
            return False
        client, hand = self._world.client, self._hand.body_id
        (body,) = touched
        moving, turning = _difference(client.getBaseVelocity(body), client.getBaseVelocity(hand))
        if moving > CARRIED_M_S or turning > CARRIED_RAD_S:
            return False
        contacts = client.getContactPoints(body)
        links = {contact[4] for contact in contacts if contact[2] == hand}
        return links >= set(FINGER_LINKS) and all(contact[2] in (hand, body) for contact in contacts)


def _difference(first: tuple[NDArray[np.float64], ...], second: tuple[NDArray[np.float64], ...]) -> tuple[float, float]:
    """The norms of the difference of two linear (m/s) and of two angular (rad/s) velocities."""
    linear, angular = np.linalg.norm(np.subtract(first, second), axis=1)
    return float(linear), float(angular)
