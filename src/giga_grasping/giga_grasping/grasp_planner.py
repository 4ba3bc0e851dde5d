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
from giga_grasping.straight_motion import FEWEST_STEPS, line_steps, straight_line
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
class _Distance:
    """How long a straight way should be, and how short it may be."""

    wanted_m: float
    shortest_m: float


@dataclass(frozen=True)
class _StraightWays:
    """Approach (outwards, from the grasp) and retreat as evenly spaced configurations [N, 7], and their lengths."""

    outwards: FloatArray
    approach_m: float
    retreat: FloatArray
    retreat_m: float
    is_full: bool
    """Neither is shorter than wanted."""


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
        approach_distance_m: straight way before the grasp; 0 = the settings', shortened where there is no room.
        retreat_distance_m: straight way after it; 0 = the same.
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
        _distance(approach_distance_m, context.settings.approach_distance_m, context.settings.shortest_distance_m),
        _distance(retreat_distance_m, context.settings.retreat_distance_m, context.settings.shortest_distance_m),
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
        approach: _Distance,
        retreat: _Distance,
        deadline_s: float,
    ) -> None:
        self._context = context
        self._scene = scene
        self._corners_m = scene.corners_m
        self._collisions = collisions
        self._start_rad = start_rad
        self._departure = departure
        self._limits = limits
        self._approach = approach
        self._retreat = retreat
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
        shortened: list[tuple[RigidTransform, _StraightWays]] = []
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
            if not ways.is_full:
                shortened.append((T_turned, ways))
            elif (plan := self._with_reach(index, T_turned, lift_m, ways)) is not None:
                return plan
        for T_turned, ways in shortened:
            if (plan := self._with_reach(index, T_turned, lift_m, ways)) is not None:
                return plan
        return reached

    def _with_reach(
        self, index: int, T_base_tcp: RigidTransform, lift_m: float, ways: _StraightWays
    ) -> GraspPlan | None:
        """The whole plan, if there is a free way to the start of the approach."""
        goal_rad = ways.outwards[-1]
        rule = self._collisions.in_the_open
        reach = self._context.reach(self._start_rad, goal_rad, rule, self._limits, self._departure, self._deadline_s)
        if reach is None:
            return None
        speed = self._context.settings.straight_speed_m_s
        approach = time_line(ways.outwards[::-1], ways.approach_m, speed, self._limits)
        retreat = time_line(ways.retreat, ways.retreat_m, speed, self._limits)
        return GraspPlan(index, T_base_tcp, lift_m, reach, approach, retreat)

    def _straight_ways(
        self, joints: FloatArray, T_base_tcp: RigidTransform, rule: CollisionRule
    ) -> _StraightWays | None:
        """The longest approach and retreat from this branch, up to what is wanted; None where they are too short."""
        in_the_open = self._collisions.in_the_open
        backwards = -T_base_tcp.rotation.as_matrix()[:, 2]
        outwards = self._free_line(joints, T_base_tcp, backwards, self._approach.wanted_m, rule)
        fewest = _fewest_steps(self._approach)
        while len(outwards) > fewest and not in_the_open.is_free(outwards[-1]):
            outwards = outwards[:-1]
        if len(outwards) <= fewest:
            return None
        upwards = retreat_direction(T_base_tcp)
        retreat = self._free_line(joints, T_base_tcp, upwards, self._retreat.wanted_m, rule)
        if len(retreat) <= _fewest_steps(self._retreat):
            return None
        shares = [
            (len(line) - 1) / line_steps(distance.wanted_m)
            for line, distance in ((outwards, self._approach), (retreat, self._retreat))
        ]
        return _StraightWays(
            outwards,
            shares[0] * self._approach.wanted_m,
            retreat,
            shares[1] * self._retreat.wanted_m,
            min(shares) == 1.0,
        )

    def _free_line(
        self,
        joints: FloatArray,
        T_base_tcp: RigidTransform,
        direction: FloatArray,
        length_m: float,
        rule: CollisionRule,
    ) -> FloatArray:
        """The straight line's configurations [K, 7] as far as it exists and is free; its start is known to be."""
        line = straight_line(self._context.kinematics, joints, T_base_tcp, direction, length_m)
        for index, configuration in enumerate(line[1:], start=1):
            if not rule.is_free(configuration):
                return line[:index]
        return line

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
            -T_base_tcp.rotation.as_matrix()[:, 2] * self._approach.wanted_m,
            retreat_direction(T_base_tcp) * self._retreat.wanted_m,
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


def _distance(asked_m: float, default_m: float, shortest_m: float) -> _Distance:
    """What a request asks for exactly, or the default with some room below."""
    return _Distance(asked_m, asked_m) if asked_m > 0.0 else _Distance(default_m, min(default_m, shortest_m))


def _fewest_steps(distance: _Distance) -> int:
    steps = line_steps(distance.wanted_m)
    return max(FEWEST_STEPS, int(np.ceil(steps * distance.shortest_m / distance.wanted_m - 1e-9)))


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
