"""The first of some grasps that the arm can carry out: reach, straight approach, straight retreat."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.collision_scene import CollisionRule, CollisionScene
from giga_grasping.grasp_target import target_triangles
from giga_grasping.planning_context import PlanningContext
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.scene_store import PerceivedScene
from giga_grasping.straight_motion import straight_line
from giga_grasping.timing import MotionLimits, Trajectory, time_line

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

UPRIGHT_RETREAT_DEG = 60.0
"""An approach further from straight down than this ends in a retreat straight up, others in one back along the tool."""

_BRANCHES_TRIED = 8
_BRANCH_DISTANCE_RAD = 0.25
_HALF_TURN = Rotation.from_rotvec([0.0, 0.0, np.pi])
_NEARBY_M = 0.01


@dataclass(frozen=True)
class GraspPlan:
    """A grasp with its motions; each starts where the one before ends."""

    index: int
    """Which of the candidates."""
    T_base_tcp: RigidTransform
    """The pose planned: the candidate's, perhaps turned by half about its z, perhaps lifted by `lift_m`."""
    lift_m: float
    reach: Trajectory
    approach: Trajectory
    retreat: Trajectory


@dataclass(frozen=True)
class _StraightWays:
    """Approach (outwards, from the grasp) and retreat as configurations [N, 7]."""

    outwards: FloatArray
    retreat: FloatArray


def plan_grasp(
    context: PlanningContext,
    scene: PerceivedScene,
    start_rad: FloatArray,
    candidates: Sequence[RigidTransform],
    approach_distance_m: float = 0.0,
    retreat_distance_m: float = 0.0,
    velocity_scaling: float = 0.0,
    acceleration_scaling: float = 0.0,
) -> GraspPlan:
    """Plan the first plannable candidate; each is tried as it is and turned by half about its z.

    Args:
        context: robot, cell, settings.
        scene: what was perceived.
        start_rad: arm joints [7].
        candidates: T_base_tcp, best first.
        approach_distance_m: straight way before the grasp; 0 = the settings'.
        retreat_distance_m: straight way after it; 0 = the settings'.
        velocity_scaling: fraction of the velocity limits; 0 = the settings'.
        acceleration_scaling: fraction of the acceleration limits; 0 = the settings'.

    Raises:
        PlanningError: no candidate has a plan; the outcome is that of the candidate which came furthest.
    """
    deadline_s = context.deadline_s()
    if not candidates:
        raise PlanningError(PlanningOutcome.NO_CANDIDATES, "There is no grasp to plan: the request holds none.")
    for name, value in (("approach_distance_m", approach_distance_m), ("retreat_distance_m", retreat_distance_m)):
        if not 0.0 <= value <= 0.5:
            raise PlanningError(
                PlanningOutcome.INVALID_REQUEST, f"{name} is {value}; it should lie between 0 and 0.5 m."
            )
    limits = context.motion_limits(velocity_scaling, acceleration_scaling)
    collisions = context.collision_scene(scene)
    free_start_rad, departure = context.start_of_motion(start_rad, collisions.in_the_open, limits)

    attempt = _Attempt(
        context,
        scene,
        collisions,
        free_start_rad,
        departure,
        limits,
        approach_distance_m or context.settings.approach_distance_m,
        retreat_distance_m or context.settings.retreat_distance_m,
        deadline_s,
    )
    failures: Counter[PlanningOutcome] = Counter()
    for index, T_base_tcp in enumerate(candidates):
        if time.monotonic() > deadline_s:
            break
        planned = attempt.plan(index, T_base_tcp)
        if isinstance(planned, GraspPlan):
            return planned
        failures[planned] += 1
    raise _no_plan(failures, len(candidates), context.settings.time_limit_s)


class _Attempt:
    """One request while it is worked on."""

    def __init__(
        self,
        context: PlanningContext,
        scene: PerceivedScene,
        collisions: CollisionScene,
        start_rad: FloatArray,
        departure: list[Trajectory],
        limits: MotionLimits,
        approach_m: float,
        retreat_m: float,
        deadline_s: float,
    ) -> None:
        self._context = context
        self._scene = scene
        self._corners_m = scene.corners_m
        self._collisions = collisions
        self._start_rad = start_rad
        self._departure = departure
        self._limits = limits
        self._approach_m = approach_m
        self._retreat_m = retreat_m
        self._deadline_s = deadline_s
        self._hand_points_m = context.arm.hand_points_m()

    def plan(self, index: int, T_base_tcp: RigidTransform) -> GraspPlan | PlanningOutcome:
        """The candidate's plan, or how far it came."""
        lift_m = self._lift_off_table(T_base_tcp)
        T_base_tcp = RigidTransform.from_translation([0.0, 0.0, lift_m]) * T_base_tcp
        turns = (T_base_tcp, T_base_tcp * RigidTransform.from_rotation(_HALF_TURN))
        branches = [(joints, turn) for turn in turns for joints in self._context.kinematics.solve(turn)]
        if not branches:
            return PlanningOutcome.NO_IK_SOLUTION
        rule = self._rule_at_grasp(T_base_tcp)
        branches = [branch for branch in branches if rule.is_free(branch[0])]
        if not branches:
            return PlanningOutcome.IN_COLLISION

        configurations = np.array([joints for joints, _ in branches])
        order = np.argsort(self._context.preference(self._start_rad, configurations, self._collisions), kind="stable")
        reached = PlanningOutcome.APPROACH_BLOCKED
        tried: list[FloatArray] = []
        for choice in order:
            joints, T_turned = branches[choice]
            # Neighbours on the sweep fare alike: spend the tries on branches that differ.
            if any(np.abs(joints - other).max() < _BRANCH_DISTANCE_RAD for other in tried):
                continue
            if len(tried) == _BRANCHES_TRIED or time.monotonic() > self._deadline_s:
                break
            tried.append(joints)
            ways = self._straight_ways(joints, T_turned, rule)
            if ways is None:
                continue
            reached = PlanningOutcome.PLANNING_FAILED
            reach = self._context.reach(
                self._start_rad,
                ways.outwards[-1],
                self._collisions.in_the_open,
                self._limits,
                self._departure,
                self._deadline_s,
            )
            if reach is not None:
                speed = self._context.settings.straight_speed_m_s
                approach = time_line(ways.outwards[::-1], self._approach_m, speed, self._limits)
                retreat = time_line(ways.retreat, self._retreat_m, speed, self._limits)
                return GraspPlan(index, T_turned, lift_m, reach, approach, retreat)
        return reached

    def _straight_ways(
        self, joints: FloatArray, T_base_tcp: RigidTransform, rule: CollisionRule
    ) -> _StraightWays | None:
        kinematics = self._context.kinematics
        backwards = -T_base_tcp.rotation.as_matrix()[:, 2]
        outwards = straight_line(kinematics, joints, T_base_tcp, backwards, self._approach_m)
        if outwards is None or not self._collisions.in_the_open.is_free(outwards[-1]):
            return None
        if not all(rule.is_free(configuration) for configuration in outwards[1:]):
            return None
        direction = retreat_direction(T_base_tcp)
        retreat = straight_line(kinematics, joints, T_base_tcp, direction, self._retreat_m)
        if retreat is None or not all(rule.is_free(configuration) for configuration in retreat[1:]):
            return None
        return _StraightWays(outwards, retreat)

    def _rule_at_grasp(self, T_base_tcp: RigidTransform) -> CollisionRule:
        target = target_triangles(self._corners_m, T_base_tcp, self._context.arm.closing_volume)
        return self._collisions.at_grasp(target, self._near_fingers(T_base_tcp))

    def _near_fingers(self, T_base_tcp: RigidTransform) -> BoolArray:
        """[T], the scene's triangles that the fingers can come near to on the straight ways."""
        if not len(self._corners_m):
            return np.zeros(0, dtype=bool)
        fingers = np.concatenate([points for body, points in self._hand_points_m if body.is_finger])
        # The hand's half turn is covered as well: the fingers then change places.
        both = np.concatenate([fingers, _HALF_TURN.apply(fingers)])
        at_grasp = T_base_tcp.apply(both)
        ways = [
            -T_base_tcp.rotation.as_matrix()[:, 2] * self._approach_m,
            retreat_direction(T_base_tcp) * self._retreat_m,
        ]
        swept = np.concatenate([at_grasp, *(at_grasp + way for way in ways)])
        lower, upper = swept.min(axis=0) - _NEARBY_M, swept.max(axis=0) + _NEARBY_M
        within = (self._corners_m.min(axis=1) <= upper) & (self._corners_m.max(axis=1) >= lower)
        return np.asarray(within.all(axis=1))

    def _lift_off_table(self, T_base_tcp: RigidTransform) -> float:
        """How far up the grasp has to go for the hand to clear the table; 0 where that is more than allowed."""
        clearances = self._context.settings.clearances
        table_m = self._context.cell.table_height_base_m
        missing_m = 0.0
        for body, points in self._hand_points_m:
            clearance_m = clearances.fingers_fixed_m if body.is_finger else clearances.links_fixed_m
            lowest_m = float(T_base_tcp.apply(points)[:, 2].min())
            # Half a millimetre more than needed, so that rounding does not decide.
            missing_m = max(missing_m, table_m + clearance_m - lowest_m + 0.0005)
        return missing_m if missing_m <= self._context.settings.lift_limit_m else 0.0


def retreat_direction(T_base_tcp: RigidTransform) -> FloatArray:
    """Unit vector [3] of the retreat: back along the tool, or straight up after an approach from the side."""
    approach = T_base_tcp.rotation.as_matrix()[:, 2]
    if -approach[2] < np.cos(np.deg2rad(UPRIGHT_RETREAT_DEG)):
        return np.array([0.0, 0.0, 1.0])
    return np.asarray(-approach)


def _no_plan(failures: Counter[PlanningOutcome], count: int, time_limit_s: float) -> PlanningError:
    """The error for candidates that all failed: its outcome is that of those that came furthest."""
    words = {
        PlanningOutcome.NO_IK_SOLUTION: "out of reach",
        PlanningOutcome.IN_COLLISION: "in collision at the grasp",
        PlanningOutcome.APPROACH_BLOCKED: "without a free straight approach and retreat",
        PlanningOutcome.PLANNING_FAILED: "without a free way to them",
    }
    parts = [f"{failures[outcome]} {text}" for outcome, text in words.items() if failures[outcome]]
    untried = count - sum(failures.values())
    outcome = min(failures, default=PlanningOutcome.PLANNING_FAILED)
    if untried:
        parts.append(f"{untried} not tried within {time_limit_s:g} s")
        outcome = PlanningOutcome.PLANNING_FAILED
    return PlanningError(outcome, f"No plan for any of {count} grasps: {', '.join(parts)}.")
