"""The `follow_joint_trajectory` action of the simulated arm's controller."""

from __future__ import annotations

import numpy as np
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from giga_sim.cancel_requests import CancelRequests
from giga_sim.joint_trajectory import (
    JointSetpoint,
    TrajectoryPoint,
    TrajectoryRejectedError,
    order_points,
    trajectory_through,
)
from giga_sim.robot_profile import RobotProfile
from giga_sim.simulated_cell import SimulatedCell
from giga_sim.simulation_loop import SimulationLoop, SimulationStoppedError
from giga_sim.state_messages import NANOSECONDS, stamp_from
from giga_sim.trajectory_following import TrajectoryGoal, TrajectoryOutcome
from giga_sim.trajectory_messages import feedback_message, points_from, result_message, tolerances_from


class ArmActionServer:
    """Accepts, follows and cancels trajectories as JointTrajectoryController does."""

    def __init__(self, node: Node, profile: RobotProfile, cell: SimulatedCell, loop: SimulationLoop) -> None:
        self._node = node
        self._profile = profile
        self._cell = cell
        self._loop = loop
        self._cancels = CancelRequests()
        # The goal that the arm follows; written in the simulation's thread only.
        self._current: tuple[TrajectoryGoal, ServerGoalHandle] | None = None
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            f"{profile.controller}/follow_joint_trajectory",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def publish_feedback(self) -> None:
        """Tell the client where the arm is; called in the simulation's thread."""
        if self._current is None or self._current[0].finished:
            return
        handle = self._current[1]
        readings = self._cell.readings
        actual = JointSetpoint(readings.arm_positions, readings.arm_velocities, np.zeros(len(readings.arm_positions)))
        elapsed_s = self._cell.arm_follower.elapsed_s(self._cell.step_count)
        stamp = stamp_from(self._cell.time_ns)
        handle.publish_feedback(
            feedback_message(self._profile.arm_joints, stamp, elapsed_s, self._cell.arm_follower.setpoint, actual)
        )

    def destroy(self) -> None:
        """Take the action off the graph."""
        self._server.destroy()

    def _checked(self, goal: FollowJointTrajectory.Goal) -> tuple[TrajectoryPoint, ...]:
        if goal.multi_dof_trajectory.points:
            raise TrajectoryRejectedError("the trajectory has multi-DOF points; this controller takes joints")
        tolerances_from(goal, self._profile.arm_joints)
        return order_points(goal.trajectory.joint_names, points_from(goal.trajectory), self._profile.arm_joints)

    def _on_goal(self, goal: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            points = self._checked(goal)
            start_ns = _start_ns(goal)
            if start_ns and start_ns + points[-1].time_s * NANOSECONDS < self._cell.time_ns:
                raise TrajectoryRejectedError("the trajectory's stamp says that it has already ended")
        except TrajectoryRejectedError as error:
            self._node.get_logger().error(f"Goal rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._cancels.note(handle)

        def stop() -> None:
            if self._current is not None and self._current[1] is handle:
                self._cell.stop_arm(TrajectoryOutcome.CANCELED, "Goal canceled; the arm holds its position.")

        self._loop.ask(stop)
        return CancelResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> FollowJointTrajectory.Result:
        try:
            goal = self._loop.carry_out(lambda: self._begin(handle)).result()
        except SimulationStoppedError as stopped:
            # At the node's own end there is nobody left to tell, and no middleware to tell it by.
            if self._node.context.ok():
                handle.abort()
            return FollowJointTrajectory.Result(
                error_code=FollowJointTrajectory.Result.INVALID_GOAL, error_string=str(stopped)
            )
        result = result_message(goal)
        canceled = self._cancels.take(handle)
        if goal.outcome is TrajectoryOutcome.CANCELED and canceled:
            handle.canceled()
        elif goal.outcome is TrajectoryOutcome.SUCCEEDED:
            handle.succeed()
        else:
            handle.abort()
            self._node.get_logger().warning(f"Trajectory aborted: {goal.message}")
        return result

    def _begin(self, handle: ServerGoalHandle) -> TrajectoryGoal:
        """Start to follow; in the simulation's thread, where the time and the setpoint stand still."""
        request = handle.request
        follower = self._cell.arm_follower
        goal = TrajectoryGoal(
            trajectory=trajectory_through(self._checked(request), follower.setpoint),
            tolerances=tolerances_from(request, self._profile.arm_joints),
            start_step=max(self._cell.step_count, self._cell.step_at(_start_ns(request))),
        )
        follower.start(goal)
        self._current = (goal, handle)
        if self._cancels.include(handle):
            self._cell.stop_arm(TrajectoryOutcome.CANCELED, "Goal canceled before it began.")
        return goal


def _start_ns(goal: FollowJointTrajectory.Goal) -> int:
    """When the trajectory is to begin, in ns of the clock; 0 = at once."""
    stamp = goal.trajectory.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
