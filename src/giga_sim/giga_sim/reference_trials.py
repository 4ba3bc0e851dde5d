"""Grasps tried the plain way, as the method's authors do it: what the fast trials (label_trials.py) must agree with.

For every trial a hand is loaded at the pre-grasp, moves by physics through the whole approach, closes for the whole
time, retreats all the way and is removed. Slow, and short.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_sim.grasp_trial import (
    CLOSING_TIME_S,
    LEAST_OPENING_M,
    PRE_GRASP_DISTANCE_M,
    RETREAT_DISTANCE_M,
    TrialEnd,
    TrialOutcome,
    retreat_direction,
    steps_for,
)
from giga_sim.gripper_hand import GripperHand
from giga_sim.physics_world import STEP_RATE_HZ, PhysicsWorld


class ReferenceTrials:
    """Tries grasps in a scene, which is put back after each of them."""

    def __init__(self, world: PhysicsWorld, hand_urdf: Path | None = None) -> None:
        """hand_urdf: another hand of the same frames (default: our own)."""
        self._world, self._hand_urdf = world, hand_urdf
        self._untouched = world.client.saveState()

    def __call__(self, T_workspace_grasp: RigidTransform) -> TrialOutcome:
        """Try a grasp, given by the pose of VGN's grasp origin."""
        hand = GripperHand(self._world, self._hand_urdf)
        try:
            return _full_trial(self._world, hand, T_workspace_grasp)
        finally:
            self._world.client.removeBody(hand.body_id)
            self._world.client.restoreState(self._untouched)


def _full_trial(world: PhysicsWorld, hand: GripperHand, T_workspace_grasp: RigidTransform) -> TrialOutcome:
    approach_m = PRE_GRASP_DISTANCE_M * T_workspace_grasp.rotation.as_matrix()[:, 2]
    T_workspace_pre = RigidTransform.from_translation(-approach_m) * T_workspace_grasp
    hand.teleport(T_workspace_pre)
    if hand.touches_at(hand.path(T_workspace_pre, np.zeros(3), 1)[0]):
        return TrialOutcome(TrialEnd.PRE_GRASP_BLOCKED)
    for place in hand.path(T_workspace_pre, approach_m, steps_for(PRE_GRASP_DISTANCE_M)):
        hand.steer(place)
        world.step()
        if hand.touched():
            return TrialOutcome(TrialEnd.APPROACH_BLOCKED)
    hand.set_opening(0.0)
    for _ in range(round(CLOSING_TIME_S * STEP_RATE_HZ)):
        world.step()
    held = bool(hand.touched())
    retreat_m = RETREAT_DISTANCE_M * retreat_direction(T_workspace_grasp)
    for place in hand.path(T_workspace_grasp, retreat_m, steps_for(RETREAT_DISTANCE_M)):
        hand.steer(place)
        world.step()
    touched, opening_m = hand.touched(), hand.opening_m()
    if touched and opening_m > LEAST_OPENING_M:
        return TrialOutcome(TrialEnd.LIFTED, opening_m, min(touched))
    return TrialOutcome(TrialEnd.LOST if held else TrialEnd.CLOSED_ON_NOTHING)
