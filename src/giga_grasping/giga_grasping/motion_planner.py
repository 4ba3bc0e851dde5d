"""One free motion of the arm: to joints, to a name, to a pose; with or without an object in the hand."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.free_motion import edge_is_free
from giga_grasping.planning_context import PlanningContext
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.scene_store import PerceivedScene
from giga_grasping.timing import Trajectory

FloatArray = NDArray[np.float64]

_DIRECT_TRIES = 12
_SEARCHES = 4
_HALF_TURN = RigidTransform.from_rotation(Rotation.from_rotvec([0.0, 0.0, np.pi]))


def goals_of_joints(context: PlanningContext, joints_rad: FloatArray) -> FloatArray:
    """Goal configurations [1, 7] for given joints.

    Raises:
        PlanningError: INVALID_REQUEST, outside the limits.
    """
    if context.limits.margin_rad(joints_rad) < 0.0:
        raise PlanningError(PlanningOutcome.INVALID_REQUEST, "The goal joints lie outside the joint limits.")
    return joints_rad[None, :]


def goals_of_pose(context: PlanningContext, T_base_tcp: RigidTransform) -> FloatArray:
    """Goal configurations [N, 7] for a TCP pose.

    Raises:
        PlanningError: NO_IK_SOLUTION.
    """
    found = context.kinematics.solve(T_base_tcp)
    if not len(found):
        place = ", ".join(f"{value:.3f}" for value in T_base_tcp.translation)
        raise PlanningError(
            PlanningOutcome.NO_IK_SOLUTION, f"The goal pose is out of reach: ({place}) m in the robot's base frame."
        )
    return found


def goals_of_name(context: PlanningContext, name: str) -> FloatArray:
    """Goal configurations [N, 7] for a name of the robot profile.

    A name stands for one configuration, or for a pose over which the hand may be turned by half about its z.

    Raises:
        PlanningError: INVALID_REQUEST, no such name; NO_IK_SOLUTION.
    """
    profile = context.arm.profile
    if name in profile.configurations:
        return profile.configurations[name][None, :]
    if name in profile.named_poses:
        T_base_tcp = context.cell.T_base_workspace * profile.named_poses[name]
        turned = context.kinematics.solve(T_base_tcp * _HALF_TURN)
        return np.concatenate([goals_of_pose(context, T_base_tcp), turned])
    known = ", ".join(sorted([*profile.configurations, *profile.named_poses]))
    raise PlanningError(PlanningOutcome.INVALID_REQUEST, f"The robot profile knows no goal '{name}'; it knows {known}.")


def plan_motion(
    context: PlanningContext,
    scene: PerceivedScene,
    start_rad: FloatArray,
    goals_rad: FloatArray,
    held_points_m: FloatArray | None = None,
    velocity_scaling: float = 0.0,
    acceleration_scaling: float = 0.0,
) -> Trajectory:
    """Plan a motion to whichever of the goals is best to reach.

    Args:
        context: robot, cell, settings.
        scene: what was perceived.
        start_rad: arm joints [7].
        goals_rad: goal configurations [N, 7], N at least 1, within the limits.
        held_points_m: points [K, 3] of an object in the hand, TCP frame.
        velocity_scaling: fraction of the velocity limits; 0 = the settings'.
        acceleration_scaling: fraction of the acceleration limits; 0 = the settings'.

    Raises:
        PlanningError: INVALID_REQUEST, START_INVALID, IN_COLLISION (every goal), PLANNING_FAILED.
    """
    deadline_s = context.deadline_s()
    limits = context.motion_limits(velocity_scaling, acceleration_scaling)
    collisions = context.collision_scene(scene)
    rule = collisions.in_the_open if held_points_m is None else collisions.with_held_object(held_points_m)
    free_start_rad, departure = context.start_of_motion(start_rad, rule, limits)
    free_goals = np.array([goal for goal in goals_rad if rule.is_free(goal)])
    if not len(free_goals):
        contacts = rule.contacts(goals_rad[0])
        names = "; ".join(sorted({f"{contact.first} with {contact.second}" for contact in contacts}))
        raise PlanningError(PlanningOutcome.IN_COLLISION, f"The goal is in collision: {names}.")
    order = np.argsort(context.preference(free_start_rad, free_goals, collisions), kind="stable")
    direct = [index for index in order[:_DIRECT_TRIES] if edge_is_free(rule.is_free, free_start_rad, free_goals[index])]
    for index in [*direct[:1], *order[:_SEARCHES]]:
        if time.monotonic() > deadline_s:
            break
        motion = context.reach(free_start_rad, free_goals[index], rule, limits, departure, deadline_s)
        if motion is not None:
            return motion
    raise PlanningError(
        PlanningOutcome.PLANNING_FAILED,
        f"No free motion to any of {len(free_goals)} free goal configurations was found within "
        f"{context.settings.max_checks} checks each and {context.settings.time_limit_s:g} s.",
    )
