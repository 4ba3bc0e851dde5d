"""FollowJointTrajectory's messages to and from the library's own types."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from giga_sim.joint_trajectory import JointSetpoint, TrajectoryPoint, TrajectoryRejectedError
from giga_sim.state_messages import NANOSECONDS
from giga_sim.trajectory_following import Tolerances, TrajectoryGoal, TrajectoryOutcome

_ERROR_CODES = {
    TrajectoryOutcome.SUCCEEDED: FollowJointTrajectory.Result.SUCCESSFUL,
    TrajectoryOutcome.PATH_TOLERANCE: FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED,
    TrajectoryOutcome.GOAL_TOLERANCE: FollowJointTrajectory.Result.GOAL_TOLERANCE_VIOLATED,
    TrajectoryOutcome.PREEMPTED: FollowJointTrajectory.Result.INVALID_GOAL,
    TrajectoryOutcome.CANCELED: FollowJointTrajectory.Result.SUCCESSFUL,
    TrajectoryOutcome.REFLEX: FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED,
}


def points_from(message: JointTrajectoryMessage) -> list[TrajectoryPoint]:
    """The points of a trajectory message, joints in the message's order.

    Raises TrajectoryRejectedError for efforts, which a position controller has no use for.
    """
    points = []
    for index, point in enumerate(message.points):
        if len(point.effort) > 0:
            raise TrajectoryRejectedError(f"point {index} has efforts; this controller takes positions")
        points.append(
            TrajectoryPoint(
                time_s=seconds_from(point.time_from_start),
                positions=np.array(point.positions, dtype=float),
                velocities=np.array(point.velocities, dtype=float) if len(point.velocities) else None,
                accelerations=np.array(point.accelerations, dtype=float) if len(point.accelerations) else None,
            )
        )
    return points


def tolerances_from(goal: FollowJointTrajectory.Goal, joint_names: Sequence[str]) -> Tolerances:
    """The goal's tolerances, in the order of `joint_names`; what it leaves out is unchecked.

    As control_msgs says: 0 means unspecified, a negative value means unchecked; both are unchecked here.
    Raises TrajectoryRejectedError for a joint that the controller does not have.
    """
    infinite = np.full(len(joint_names), np.inf)
    path, position, velocity = infinite.copy(), infinite.copy(), infinite.copy()
    for tolerance in goal.path_tolerance:
        path[_joint_index(tolerance, joint_names)] = _bound(tolerance.position)
    for tolerance in goal.goal_tolerance:
        index = _joint_index(tolerance, joint_names)
        position[index] = _bound(tolerance.position)
        velocity[index] = _bound(tolerance.velocity)
    goal_time_s = seconds_from(goal.goal_time_tolerance)
    return Tolerances(path, position, velocity, goal_time_s if goal_time_s > 0.0 else None)


def result_message(goal: TrajectoryGoal) -> FollowJointTrajectory.Result:
    """The result of a goal that has ended."""
    if goal.outcome is None:
        raise ValueError("the goal has not ended yet")
    return FollowJointTrajectory.Result(error_code=_ERROR_CODES[goal.outcome], error_string=goal.message)


def feedback_message(
    joint_names: Sequence[str], stamp: Time, elapsed_s: float, desired: JointSetpoint, actual: JointSetpoint
) -> FollowJointTrajectory.Feedback:
    """Desired, actual and their difference, joints in the controller's order."""
    feedback = FollowJointTrajectory.Feedback(joint_names=list(joint_names))
    feedback.header.stamp = stamp
    error = JointSetpoint(
        desired.positions - actual.positions,
        desired.velocities - actual.velocities,
        desired.accelerations - actual.accelerations,
    )
    for name, setpoint in (("desired", desired), ("actual", actual), ("error", error)):
        setattr(feedback, name, _point_message(setpoint, elapsed_s))
    return feedback


def seconds_from(duration: Duration) -> float:
    """A duration message in seconds."""
    return float(duration.sec) + duration.nanosec / NANOSECONDS


def _point_message(setpoint: JointSetpoint, elapsed_s: float) -> JointTrajectoryPoint:
    point = JointTrajectoryPoint()
    point.positions = array.array("d", setpoint.positions.tobytes())
    point.velocities = array.array("d", setpoint.velocities.tobytes())
    nanoseconds = round(max(elapsed_s, 0.0) * NANOSECONDS)
    point.time_from_start = Duration(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)
    return point


def _joint_index(tolerance: JointTolerance, joint_names: Sequence[str]) -> int:
    if tolerance.name not in joint_names:
        raise TrajectoryRejectedError(
            f"a tolerance names the joint {tolerance.name!r}, which the controller does not have"
        )
    return list(joint_names).index(tolerance.name)


def _bound(value: float) -> float:
    return float(value) if value > 0.0 else float("inf")
