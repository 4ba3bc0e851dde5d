"""The actions of the simulated gripper: the Franka driver's homing, move and grasp, and its GripperCommand bridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_msgs.action import GripperCommand as GripperCommandAction
from franka_msgs.action import Grasp, Homing, Move
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from giga_sim.cancel_requests import CancelRequests
from giga_sim.robot_profile import RobotProfile
from giga_sim.simulated_cell import SimulatedCell
from giga_sim.simulated_gripper import GripperCommand, GripperCommandKind
from giga_sim.simulation_loop import SimulationLoop, SimulationStoppedError

# The bridge takes a width as reached when it is this near (as the driver does).
BRIDGE_SAME_WIDTH_M = 1e-4
# The driver's default epsilons, both ways.
BRIDGE_EPSILON_M = 0.005


class GripperActionServers:
    """All four actions; whichever starts last has the gripper."""

    def __init__(self, node: Node, profile: RobotProfile, cell: SimulatedCell, loop: SimulationLoop) -> None:
        self._node = node
        self._profile = profile
        self._cell = cell
        self._loop = loop
        self._cancels = CancelRequests()
        # The command being carried out and whose it is; written in the simulation's thread only.
        self._current: tuple[GripperCommand, ServerGoalHandle] | None = None
        group = ReentrantCallbackGroup()
        callbacks: list[tuple[Any, str, Callable[[ServerGoalHandle], Any]]] = [
            (Homing, "homing", self._homing),
            (Move, "move", self._move),
            (Grasp, "grasp", self._grasp),
            (GripperCommandAction, "gripper_action", self._bridge),
        ]
        self._servers = [
            ActionServer(
                node,
                action,
                f"{profile.gripper}/{name}",
                execute_callback=execute,
                cancel_callback=self._on_cancel,
                callback_group=group,
            )
            for action, name, execute in callbacks
        ]

    def publish_feedback(self) -> None:
        """Tell the client how far the fingers are open; called in the simulation's thread."""
        if self._current is None or self._current[0].finished:
            return
        handle = self._current[1]
        width_m = self._cell.readings.width_m
        if isinstance(handle.request, GripperCommandAction.Goal):
            handle.publish_feedback(GripperCommandAction.Feedback(position=width_m))
        elif isinstance(handle.request, Homing.Goal):
            handle.publish_feedback(Homing.Feedback(current_width=width_m))
        elif isinstance(handle.request, Move.Goal):
            handle.publish_feedback(Move.Feedback(current_width=width_m))
        else:
            handle.publish_feedback(Grasp.Feedback(current_width=width_m))

    def destroy(self) -> None:
        """Take the actions off the graph."""
        for server in self._servers:
            server.destroy()

    def _homing(self, handle: ServerGoalHandle) -> Homing.Result:
        profile = self._profile
        command = GripperCommand(
            GripperCommandKind.HOMING, profile.gripper_max_width_m, profile.gripper_speed_m_s, profile.gripper_force_n
        )
        success, error = self._carry_out(handle, command)
        return Homing.Result(success=success, error=error)

    def _move(self, handle: ServerGoalHandle) -> Move.Result:
        goal = handle.request
        command = GripperCommand(
            GripperCommandKind.MOVE, goal.width, self._speed(goal.speed), self._profile.gripper_force_n
        )
        success, error = self._carry_out(handle, command)
        return Move.Result(success=success, error=error)

    def _grasp(self, handle: ServerGoalHandle) -> Grasp.Result:
        goal = handle.request
        command = GripperCommand(
            GripperCommandKind.GRASP,
            goal.width,
            self._speed(goal.speed),
            self._force(goal.force),
            goal.epsilon.inner,
            goal.epsilon.outer,
        )
        success, error = self._carry_out(handle, command)
        return Grasp.Result(success=success, error=error)

    def _bridge(self, handle: ServerGoalHandle) -> GripperCommandAction.Result:
        """GripperCommand: its position is one finger's; opening is a move, closing a grasp with default epsilons."""
        goal = handle.request.command
        profile = self._profile
        width_m = 2.0 * goal.position
        # The readings are replaced as a whole at each step, so any thread may look at the newest.
        current_m = self._cell.readings.width_m
        if not 0.0 <= width_m <= profile.gripper_max_width_m + 1e-6:
            handle.abort()
            self._node.get_logger().error(
                f"GripperCommand aborted: position {goal.position:.4f} m of a finger is outside 0 to "
                f"{profile.gripper_max_width_m / 2.0:.3f} m"
            )
            return GripperCommandAction.Result(position=current_m, reached_goal=False)
        if abs(width_m - current_m) < BRIDGE_SAME_WIDTH_M:
            handle.succeed()
            return GripperCommandAction.Result(position=current_m, reached_goal=True)
        if width_m > current_m:
            command = GripperCommand(
                GripperCommandKind.MOVE, width_m, profile.gripper_speed_m_s, profile.gripper_force_n
            )
        else:
            command = GripperCommand(
                GripperCommandKind.GRASP,
                width_m,
                profile.gripper_speed_m_s,
                self._force(goal.max_effort),
                BRIDGE_EPSILON_M,
                BRIDGE_EPSILON_M,
            )
        success, _ = self._carry_out(handle, command)
        return GripperCommandAction.Result(position=command.final_width_m, reached_goal=success)

    def _carry_out(self, handle: ServerGoalHandle, command: GripperCommand) -> tuple[bool, str]:
        """Carry the command out, set the goal's state, and return success and error text."""

        def begin() -> GripperCommand:
            self._cell.gripper.start(command, self._cell.readings.width_m)
            self._current = (command, handle)
            if self._cancels.include(handle):
                self._cell.stop_gripper("the goal was canceled")
            return command

        try:
            self._loop.carry_out(begin).result()
        except SimulationStoppedError as stopped:
            if self._node.context.ok():  # else nobody is left to tell
                handle.abort()
            return False, str(stopped)
        canceled = self._cancels.take(handle)
        if command.success:
            handle.succeed()
        elif canceled:
            handle.canceled()
        else:
            handle.abort()
            self._node.get_logger().warning(f"Gripper {command.kind.value} failed: {command.message}")
        return bool(command.success), command.message

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._cancels.note(handle)

        def stop() -> None:
            if self._current is not None and self._current[1] is handle:
                self._cell.stop_gripper("the goal was canceled")

        self._loop.ask(stop)
        return CancelResponse.ACCEPT

    def _speed(self, speed_m_s: float) -> float:
        """The speed asked for, within what the gripper can; 0 or less means its own."""
        limit = self._profile.gripper_speed_m_s
        return min(speed_m_s, limit) if speed_m_s > 0.0 else limit

    def _force(self, force_n: float) -> float:
        """The force asked for, within what the profile allows; 0 or less means that."""
        limit = self._profile.gripper_force_n
        return min(force_n, limit) if force_n > 0.0 else limit
