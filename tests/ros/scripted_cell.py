"""A cell without physics: arm, gripper, planner and perception over real DDS, which keep their contracts.

It notes the order in which it was called, refuses what the real drivers refuse, and fails where a test tells it to. The
first joint's angle says where the arm is: each place of a pick has its own.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import rclpy
from control_msgs.action import FollowJointTrajectory
from franka_msgs.action import Grasp, Move
from giga_msgs.msg import Grasp as GraspCandidate
from giga_msgs.srv import DetectGrasps, PlanGrasp, PlanMotion, ReconstructScene, SetScene
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from sensor_msgs.msg import JointState
from shape_msgs.msg import Mesh
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

ARM = [f"panda_joint{number}" for number in range(1, 8)]
FINGERS = ["panda_finger_joint1", "panda_finger_joint2"]
HOME = [0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398]
# First joint of each place.
PLACES = {"home": 0.0, "reach": 0.1, "approach": 0.2, "retreat": 0.3, "bin": 0.5, "place": 0.6}
MOTION_S = 0.06
START_TOLERANCE_RAD = 0.011
SCENE_ID = "scene-1"
FULL_OPENING_M = 0.08
# Motions block; so many may be under way, with their cancels, and the services.
SERVER_THREADS = 8


def trajectory_to(start: list[float], place: str) -> JointTrajectory:
    """Six points from `start` to a place."""
    end = [PLACES[place], *HOME[1:]]
    trajectory = JointTrajectory(joint_names=ARM)
    for number in range(6):
        share = number / 5
        positions = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
        point = JointTrajectoryPoint(positions=positions, velocities=[0.0] * 7)
        point.time_from_start = Duration(seconds=share * MOTION_S).to_msg()
        trajectory.points.append(point)
    return trajectory


def place_of(first_joint: float) -> str:
    return min(PLACES, key=lambda place: abs(PLACES[place] - first_joint))


class ScriptedCell(Node):
    """`calls` is what was asked, in order; `violations` what no real robot would have taken well."""

    def __init__(self, context: Context, without: frozenset[str] = frozenset()) -> None:
        super().__init__("scripted_cell", context=context)
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.reset()
        group = ReentrantCallbackGroup()
        self._states = self.create_publisher(JointState, "joint_states", 10)
        self.create_timer(0.01, self._publish, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))
        actions = {
            "controller": (FollowJointTrajectory, "panda_arm_controller/follow_joint_trajectory", self._follow),
            "move": (Move, "panda_gripper/move", self._move),
            "grasp": (Grasp, "panda_gripper/grasp", self._grasp),
        }
        self._action_servers: list[ActionServer] = []
        for name, (kind, topic, execute) in actions.items():
            if name not in without:
                server = ActionServer(
                    self,
                    kind,
                    topic,
                    execute,
                    goal_callback=self._judge,
                    cancel_callback=lambda goal: CancelResponse.ACCEPT,
                    callback_group=group,
                )
                self._action_servers.append(server)
        services = {
            "plan_grasp": (PlanGrasp, "plan_grasp", self._plan_grasp),
            "plan_motion": (PlanMotion, "plan_motion", self._plan_motion),
            "set_scene": (SetScene, "set_scene", self._set_scene),
            "detect": (DetectGrasps, "perception_node/detect_grasps", self._detect),
            "reconstruct": (ReconstructScene, "perception_node/reconstruct_scene", self._reconstruct),
        }
        for name, (service, topic, answer) in services.items():
            if name not in without:
                self.create_service(service, topic, answer, callback_group=group)

    def destroy_node(self) -> None:
        for server in self._action_servers:  # rclpy leaves them on the graph
            server.destroy()
        super().destroy_node()

    def reset(self) -> None:
        """Home, open, five objects, nothing to fail."""
        self.joints = list(HOME)
        self.opening_m = 0.02
        self.object_width_m = 0.03
        self.objects = 5
        self.abort_on: set[str] = set()
        self.hang_on: set[str] = set()
        self.plan_outcomes: dict[str, int] = {}
        self.detect_failure = ""
        self.calls.clear()
        self.violations.clear()

    def _publish(self) -> None:
        state = JointState(name=ARM + FINGERS, position=[*self.joints, self.opening_m / 2, self.opening_m / 2])
        state.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(state)

    # The arm and the gripper

    def _judge(self, goal: Any) -> GoalResponse:
        if isinstance(goal, FollowJointTrajectory.Goal):
            times = [Duration.from_msg(point.time_from_start).nanoseconds for point in goal.trajectory.points]
            rising = all(a < b for a, b in itertools.pairwise(times))
            if sorted(goal.trajectory.joint_names) != ARM or not times or not rising:
                self.violations.append("a trajectory no controller takes")
                return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _last(self, handle: Any, call: str) -> bool:
        """Let time pass as a motion would; False when it was canceled."""
        deadline_s = time.monotonic() + MOTION_S
        while time.monotonic() < deadline_s or call in self.hang_on:
            if handle.is_cancel_requested:
                self.calls.append(f"canceled {call}")
                handle.canceled()
                return False
            time.sleep(0.005)
        return True

    def _follow(self, handle: Any) -> FollowJointTrajectory.Result:
        points = handle.request.trajectory.points
        place = place_of(points[-1].positions[0])
        self.calls.append(place)
        if max(abs(a - b) for a, b in zip(self.joints, points[0].positions, strict=True)) > START_TOLERANCE_RAD:
            self.violations.append(f"{place} starts elsewhere: reflex")
        result = FollowJointTrajectory.Result()
        if not self._last(handle, place):
            return result
        if place in self.abort_on:
            halfway = points[len(points) // 2]
            self.joints = list(halfway.positions)
            result.error_code = FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED
            result.error_string = "panda_joint1 left its path"
            handle.abort()
            return result
        self.joints = list(points[-1].positions)
        handle.succeed()
        return result

    def _move(self, handle: Any) -> Move.Result:
        self.calls.append("open")
        if handle.request.width > FULL_OPENING_M:
            self.violations.append("a width the gripper does not have")
        if not self._last(handle, "open"):
            return Move.Result()
        self.opening_m = handle.request.width
        handle.succeed()
        return Move.Result(success=True)

    def _grasp(self, handle: Any) -> Grasp.Result:
        self.calls.append("close")
        if not self._last(handle, "close"):
            return Grasp.Result()
        if "close" in self.abort_on:
            handle.abort()
            return Grasp.Result(success=False, error="jammed")
        request = handle.request
        self.opening_m = self.object_width_m
        inside = request.width - request.epsilon.inner < self.opening_m < request.width + request.epsilon.outer
        if not inside or request.force <= 0.0 or request.speed <= 0.0:
            self.violations.append("a grasp the gripper calls a failure")
        handle.succeed()
        return Grasp.Result(success=inside)

    # The planner

    def _planned(self, call: str, start: JointState) -> int:
        self.calls.append(call)
        given = dict(zip(start.name, start.position, strict=True))
        if sorted(given) != ARM or abs(given[ARM[0]] - self.joints[0]) > START_TOLERANCE_RAD:
            self.violations.append(f"{call} from where the arm is not")
        return self.plan_outcomes.get(call, PlanGrasp.Request.SUCCESS)

    def _plan_grasp(self, request: PlanGrasp.Request, response: PlanGrasp.Response) -> PlanGrasp.Response:
        if request.scene_id not in ("", SCENE_ID):
            self.violations.append("an unknown scene")
        response.outcome = self._planned("plan_grasp", request.start_joints)
        response.grasp_index = -1
        if response.outcome != PlanGrasp.Request.SUCCESS:
            response.message = "every candidate collides"
            return response
        response.grasp_index = len(request.grasps.grasps) - 1
        response.grasp_pose = request.grasps.grasps[-1].pose
        response.reach = trajectory_to(self.joints, "reach")
        response.approach = trajectory_to(list(response.reach.points[-1].positions), "approach")
        response.retreat = trajectory_to(list(response.approach.points[-1].positions), "retreat")
        response.planning_ms = 12.0
        return response

    def _plan_motion(self, request: PlanMotion.Request, response: PlanMotion.Response) -> PlanMotion.Response:
        given = [bool(request.goal_joints.name), bool(request.goal_name), bool(request.goal_pose.header.frame_id)]
        if sum(given) != 1:
            self.violations.append("not exactly one goal")
        place = request.goal_name or "place"
        response.outcome = self._planned(f"plan_{place}", request.start_joints)
        if response.outcome == PlanMotion.Request.SUCCESS:
            response.trajectory = trajectory_to(self.joints, place)
            response.planning_ms = 3.0
        else:
            response.message = "no way"
        return response

    def _set_scene(self, request: SetScene.Request, response: SetScene.Response) -> SetScene.Response:
        self.calls.append("set_scene")
        response.success, response.scene_id = bool(request.header.frame_id), SCENE_ID
        return response

    # Perception

    def _detect(self, request: DetectGrasps.Request, response: DetectGrasps.Response) -> DetectGrasps.Response:
        self.calls.append("detect")
        if not request.fresh_image:
            self.violations.append("an old image")
        response.success, response.message = not self.detect_failure, self.detect_failure
        response.grasps.header.frame_id = request.frame_id
        response.grasps.header.stamp = self.get_clock().now().to_msg()
        response.grasps.report.message = f"{self.objects} objects, so many grasps"
        for number in range(2 * self.objects):
            grasp = GraspCandidate(width_m=0.03, quality=0.9)
            grasp.pose.position.x = 0.3 + 0.03 * number
            grasp.pose.orientation.x = 1.0
            grasp.pose.orientation.w = 0.0
            response.grasps.grasps.append(grasp)
        if self.objects:
            self.objects -= 1  # what is detected will have been picked by the next time
        return response

    def _reconstruct(
        self, _request: ReconstructScene.Request, response: ReconstructScene.Response
    ) -> ReconstructScene.Response:
        self.calls.append("reconstruct")
        response.header.frame_id = "workspace"
        response.mesh, response.success = Mesh(), True
        return response


class Spinning:
    """A node spun in a thread of its own, with a context of its own.

    Servers that block want several `threads`; action clients want one, since rclpy's keep their books without a lock.
    """

    def __init__(self, make_node: Callable[[Context], Node], threads: int = 1) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = make_node(self.context)
        if threads > 1:
            self._executor: Executor = MultiThreadedExecutor(threads, context=self.context)
        else:
            self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ShutdownException, ExternalShutdownException):
            self._executor.spin()

    def run(self, coroutine: Callable[[], Awaitable[Any]], timeout_s: float = 20.0) -> Any:
        """Carry out a coroutine on the executor and return its value."""
        done = threading.Event()
        values: list[Any] = []

        async def carried_out() -> None:
            values.append(await coroutine())
            done.set()

        self._executor.create_task(carried_out)
        assert done.wait(timeout_s), f"no answer within {timeout_s} s"
        return values[0]

    def stop(self) -> None:
        """Take the node off the graph: a server that is only not spun any more would still be found."""
        self._executor.shutdown(5.0)
        self._thread.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
