"""The arm and the gripper behind their ROS interfaces: joint_states, follow_joint_trajectory, franka_msgs' actions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from franka_msgs.action import Grasp, Move
from numpy.typing import NDArray
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from giga_grasping.executor_parameters import ExecutorParameters
from giga_grasping.interruption import Interruption, wait_until
from giga_grasping.pick_outcome import PickError, PickOutcome
from giga_grasping.retrace import way_back
from giga_grasping.robot_profile import RobotProfile
from giga_grasping.ros_calls import RosCalls, succeeded, was_canceled

FloatArray = NDArray[np.float64]

# How long to wait for a joint reading that is newer than the end of the last motion, before the last one has to do.
FRESH_READING_TIMEOUT_S = 1.0
# How long an arm may take to settle at the start of the next trajectory.
SETTLING_TIMEOUT_S = 2.0
# Two plans that follow each other share a point up to this.
SAME_POINT_RAD = 0.001
# A reading older than this, in wall time, says nothing about where the arm is.
READING_TIMEOUT_S = 5.0
# A cancel that came from the safety node is announced on safety_stopped, maybe a moment after the controller's answer.
STOP_NOTICE_S = 0.3

FAILURES = {
    FollowJointTrajectory.Result.INVALID_GOAL: "invalid goal",
    FollowJointTrajectory.Result.INVALID_JOINTS: "invalid joints",
    FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP: "old header stamp",
    FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED: "path tolerance violated",
    FollowJointTrajectory.Result.GOAL_TOLERANCE_VIOLATED: "goal tolerance violated",
}


@dataclass(frozen=True)
class Reading:
    """One joint_states message: its stamp on the node's clock, and the wall time at which it came."""

    positions: Mapping[str, float]
    stamp: Time
    received_s: float


@dataclass(frozen=True)
class MotionEnd:
    """When a motion ended, on the node's clock and in wall time."""

    stamp: Time
    ended_s: float

    def is_before(self, reading: Reading) -> bool:
        # A simulation that stands still has stamped its last reading with the time at which the motion ended, and says
        # nothing more; a driver's stamps may be off against our clock, but its readings keep coming.
        return reading.stamp >= self.stamp or reading.received_s > self.ended_s


class RobotInterface:
    """Clients of one robot. Made once; `RobotMotion` binds it to one piece of work and its interruption."""

    def __init__(self, node: Node, profile: RobotProfile) -> None:
        self.node = node
        self.profile = profile
        self.calls = RosCalls(node)
        self.controller_name = f"{profile.controller}/follow_joint_trajectory"
        self.move_name = f"{profile.gripper}/move"
        self.grasp_name = f"{profile.gripper}/grasp"
        group = ReentrantCallbackGroup()
        self.controller = ActionClient(node, FollowJointTrajectory, self.controller_name, callback_group=group)
        self.move = ActionClient(node, Move, self.move_name, callback_group=group)
        self.grasp = ActionClient(node, Grasp, self.grasp_name, callback_group=group)
        self.latest: Reading | None = None
        self.last_end: MotionEnd | None = None
        # Where the controller holds the arm, by joint, in radians: the end of the last trajectory, if that was reached.
        self.held: Mapping[str, float] | None = None
        # Only the newest reading counts, and there are many.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(JointState, "joint_states", self._on_joint_states, newest, callback_group=group)

    def _on_joint_states(self, message: JointState) -> None:
        positions = dict(zip(message.name, message.position, strict=False))
        if self.latest is not None and not set(self.latest.positions) <= set(positions):
            positions = {**self.latest.positions, **positions}  # arm and gripper may publish one by one
        stamp = Time.from_msg(message.header.stamp, clock_type=self.node.get_clock().clock_type)
        self.latest = Reading(positions, stamp, time.monotonic())

    def note_motion_end(self) -> None:
        """From now on only readings that are newer than this moment say where the robot is."""
        self.last_end = MotionEnd(self.node.get_clock().now(), time.monotonic())

    def missing(self) -> list[str]:
        """What of the robot is not there, in words."""
        servers = (
            (self.controller, self.controller_name),
            (self.move, self.move_name),
            (self.grasp, self.grasp_name),
        )
        absent = [f"action server {name}" for client, name in servers if not self.calls.is_ready(client)]
        wanted = (*self.profile.arm_joints, *self.profile.finger_joints)
        if self.latest is None:
            absent.append("topic joint_states (no message yet)")
        elif unknown := [name for name in wanted if name not in self.latest.positions]:
            absent.append(f"topic joint_states (without {', '.join(unknown)})")
        elif (age_s := time.monotonic() - self.latest.received_s) > READING_TIMEOUT_S:
            absent.append(f"topic joint_states (silent for {age_s:.0f} s)")
        return absent


class RobotMotion:
    """The robot as a pick sees it (pick_sequence.Robot), for one piece of work that `interruption` can end."""

    def __init__(self, robot: RobotInterface, parameters: ExecutorParameters, interruption: Interruption) -> None:
        self._robot = robot
        self._profile = robot.profile
        self._parameters = parameters
        self._interruption = interruption

    def joints(self) -> Mapping[str, float]:
        positions = self._reading().positions
        return {name: positions[name] for name in self._profile.arm_joints}

    def at_home(self) -> bool:
        offset = self._arm_rad(self._reading()) - self._profile.configurations["home"]
        return bool(np.max(np.abs(offset)) < self._parameters.home_tolerance_rad)

    def finger_opening_m(self) -> float:
        positions = self._reading().positions
        return float(sum(positions[name] for name in self._profile.finger_joints))

    def open_gripper(self) -> None:
        goal = Move.Goal(width=self._profile.gripper_max_width_m, speed=self._profile.gripper_speed_m_s)
        self._perform_gripper(self._robot.move, self._robot.move_name, goal, "open")

    def close_gripper(self, width_m: float) -> None:
        goal = Grasp.Goal(width=width_m, speed=self._profile.gripper_speed_m_s, force=self._profile.gripper_force_n)
        # Any width will do: what is held is measured afterwards, and the candidate's width is a prediction.
        goal.epsilon.inner = goal.epsilon.outer = self._profile.gripper_max_width_m
        self._perform_gripper(self._robot.grasp, self._robot.grasp_name, goal, "close")

    def follow(self, trajectory: JointTrajectory, purpose: str) -> None:
        """Carry out a trajectory that starts where the arm is, or where the controller holds it against a contact."""
        if not trajectory.points:
            return
        self._require_start(trajectory, purpose)
        self._robot.held = None
        goal = FollowJointTrajectory.Goal(trajectory=trajectory)
        planned_s = Duration.from_msg(trajectory.points[-1].time_from_start).nanoseconds / 1e9
        timeout_s = self._parameters.motion_timeout_factor * planned_s + self._parameters.motion_timeout_margin_s
        name = self._robot.controller_name
        status, result = self._perform(self._robot.controller, name, goal, timeout_s)
        if succeeded(status) and result.error_code == FollowJointTrajectory.Result.SUCCESSFUL:
            self._robot.held = dict(zip(trajectory.joint_names, trajectory.points[-1].positions, strict=True))
            return
        self._raise_if_stopped(status)
        reason = FAILURES.get(result.error_code, "canceled by somebody else" if was_canceled(status) else "aborted")
        detail = f" ({result.error_string})" if result.error_string else ""
        raise PickError(PickOutcome.EXECUTION_FAILED, f"{name} ended the motion '{purpose}': {reason}{detail}")

    def retrace(self, trajectory: JointTrajectory, purpose: str) -> None:
        """Back along a trajectory, from the place on it that the arm has reached to its start."""
        positions = np.array([point.positions for point in trajectory.points])
        times = np.array([Duration.from_msg(point.time_from_start).nanoseconds / 1e9 for point in trajectory.points])
        standing = self._held() or self._reading().positions
        current = np.array([standing[name] for name in trajectory.joint_names])
        back = JointTrajectory(joint_names=trajectory.joint_names)
        for time_s, position, velocity in zip(*way_back(positions, times, current), strict=True):
            point = JointTrajectoryPoint(positions=position.tolist(), velocities=velocity.tolist())
            point.time_from_start = Duration(seconds=float(time_s)).to_msg()
            back.points.append(point)
        self.follow(back, purpose)

    def _arm_rad(self, reading: Reading) -> FloatArray:
        return np.array([reading.positions[name] for name in self._profile.arm_joints])

    def _reading(self) -> Reading:
        """The newest reading, from after the last motion: the end of a goal and joint_states race each other."""
        deadline_s = time.monotonic() + FRESH_READING_TIMEOUT_S
        while True:
            latest, last_end = self._robot.latest, self._robot.last_end
            if latest is None:
                raise PickError(PickOutcome.NOT_READY, "no joint_states came: is the robot's driver running?")
            if last_end is None or last_end.is_before(latest) or time.monotonic() > deadline_s:
                return latest
            self._interruption.check()
            time.sleep(0.005)

    def _perform(self, client: ActionClient, name: str, goal: Any, timeout_s: float) -> tuple[int, Any]:
        try:
            return self._robot.calls.perform(client, name, goal, timeout_s, self._interruption)
        finally:
            self._robot.note_motion_end()

    def _held(self) -> Mapping[str, float] | None:
        """Where the controller holds the arm, unless the arm is somewhere else altogether.

        An object between the fingers and the table pushes the arm off by some hundredths of a radian. The controller
        still holds it at the end of its trajectory, and a motion that starts there is the one without a jump.
        """
        held, positions = self._robot.held, self._reading().positions
        if held is None or any(name not in positions for name in held):
            return None
        off_rad = max(abs(positions[name] - held[name]) for name in held)
        return held if off_rad < self._parameters.contact_deflection_rad else None

    def _require_start(self, trajectory: JointTrajectory, purpose: str) -> None:
        first = dict(zip(trajectory.joint_names, trajectory.points[0].positions, strict=True))
        missing = [name for name in first if name not in self._reading().positions]
        if missing:
            raise PickError(PickOutcome.START_MISMATCH, f"the plan moves joints nobody reports: {', '.join(missing)}")

        held = self._held()
        if held is not None and all(abs(held.get(name, np.inf) - first[name]) < SAME_POINT_RAD for name in first):
            return

        def furthest() -> tuple[float, str]:
            positions = self._reading().positions
            return max((abs(positions[name] - first[name]), name) for name in first)

        def mismatch() -> PickError:
            offset_rad, name = furthest()
            return PickError(
                PickOutcome.START_MISMATCH,
                f"the motion '{purpose}' was not sent: {name} is {offset_rad:.3f} rad from where the plan starts",
            )

        tolerance_rad = self._parameters.start_tolerance_rad
        wait_until(lambda: furthest()[0] < tolerance_rad, SETTLING_TIMEOUT_S, self._interruption, mismatch)

    def _perform_gripper(self, client: ActionClient, name: str, goal: Any, verb: str) -> None:
        timeout_s = self._parameters.gripper_timeout_s
        try:
            status, result = self._perform(client, name, goal, timeout_s)
        except PickError as failure:
            if failure.outcome is PickOutcome.EXECUTION_FAILED:
                raise PickError(PickOutcome.GRIPPER_FAILED, failure.message) from failure
            raise
        if succeeded(status) and result.success:
            return
        self._raise_if_stopped(status)
        detail = result.error or ("canceled by somebody else" if was_canceled(status) else "aborted")
        raise PickError(PickOutcome.GRIPPER_FAILED, f"{name} did not {verb} the gripper: {detail}")

    def _raise_if_stopped(self, status: int) -> None:
        deadline_s = time.monotonic() + (STOP_NOTICE_S if was_canceled(status) else 0.0)
        self._interruption.check()
        while time.monotonic() < deadline_s:
            self._interruption.check()
            time.sleep(0.01)
