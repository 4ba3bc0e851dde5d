"""The planner as a process: its three services over DDS, in both frames, and a sentence for everything it refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pybullet_data
import pytest
import rclpy
from geometry_msgs.msg import Point, Pose, Vector3
from giga_msgs.msg import Grasp
from giga_msgs.srv import PlanGrasp, PlanMotion, SetScene
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from giga_grasping.planning_outcome import PlanningOutcome

ROBOT_FOLDER = Path(pybullet_data.getDataPath()) / "franka_panda"
ARM_JOINTS = [f"panda_joint{index}" for index in range(1, 8)]
HOME = [0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398]
ANSWER_TIMEOUT_S = 30.0


class PlannerClient:
    """Calls the planner's services and waits for each answer."""

    def __init__(self, node: Node, wait_for: Callable[..., None]) -> None:
        self._node = node
        self._wait_for = wait_for
        self._clients: dict[str, Client] = {
            "set_scene": node.create_client(SetScene, "set_scene"),
            "plan_grasp": node.create_client(PlanGrasp, "plan_grasp"),
            "plan_motion": node.create_client(PlanMotion, "plan_motion"),
        }

    def ready(self) -> bool:
        return all(client.service_is_ready() for client in self._clients.values())

    def call(self, name: str, request: Any) -> Any:
        future = self._clients[name].call_async(request)

        def answered() -> bool:
            rclpy.spin_once(self._node, timeout_sec=0.05)
            return bool(future.done())

        self._wait_for(answered, ANSWER_TIMEOUT_S, f"an answer of {name}")
        return future.result()


@pytest.fixture(scope="module")
def node(ros_domain: int) -> Iterator[Node]:
    rclpy.init()
    node = rclpy.create_node("planner_test")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def planner(node: Node, start_process: Callable[..., Any], wait_for: Callable[..., None]) -> PlannerClient:
    """The planner, still without a robot: the tests below are in the order in which it gets one."""
    start_process([sys.executable, "-m", "giga_grasping.embedded_planner_node"], "embedded_planner_node")
    client = PlannerClient(node, wait_for)
    wait_for(client.ready, ANSWER_TIMEOUT_S, "the planner's services")
    return client


def start_joints(positions: list[float] | None = None) -> JointState:
    return JointState(name=ARM_JOINTS, position=[float(value) for value in positions or HOME])


def box_mesh() -> Mesh:
    """A box of 4 x 4 x 10 cm on the middle of the table, in the workspace."""
    corners = [(x, y, z) for x in (0.13, 0.17) for y in (0.13, 0.17) for z in (0.05, 0.15)]
    faces = [
        (0, 1, 3),
        (0, 3, 2),
        (4, 6, 7),
        (4, 7, 5),
        (0, 4, 5),
        (0, 5, 1),
        (2, 3, 7),
        (2, 7, 6),
        (0, 2, 6),
        (0, 6, 4),
    ]
    faces += [(1, 5, 7), (1, 7, 3)]
    return Mesh(
        vertices=[Point(x=x, y=y, z=z) for x, y, z in corners],
        triangles=[MeshTriangle(vertex_indices=np.array(face, dtype=np.uint32)) for face in faces],
    )


def grasp_request(
    frame: str, offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0), scene_id: str = ""
) -> PlanGrasp.Request:
    """One grasp from above at the box's top; `offset_m` is the workspace in that frame."""
    grasp = Grasp(width_m=0.04, quality=0.9)
    grasp.pose.position.x, grasp.pose.position.y, grasp.pose.position.z = (
        base + offset for base, offset in zip((0.15, 0.15, 0.13), offset_m, strict=True)
    )
    grasp.pose.orientation.x, grasp.pose.orientation.w = 1.0, 0.0
    request = PlanGrasp.Request(scene_id=scene_id, start_joints=start_joints())
    request.grasps.header.frame_id = frame
    request.grasps.grasps = [grasp]
    return request


def set_box_scene(planner: PlannerClient) -> str:
    request = SetScene.Request(mesh=box_mesh())
    request.header.frame_id = "workspace"
    answer = planner.call("set_scene", request)
    assert answer.success, answer.message
    return str(answer.scene_id)


def seconds(trajectory: JointTrajectory) -> list[float]:
    return [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in trajectory.points]


def test_without_a_robot_it_answers_with_a_sentence(planner: PlannerClient) -> None:
    answer = planner.call("plan_grasp", grasp_request("workspace"))
    assert answer.outcome == PlanningOutcome.PLANNING_FAILED
    assert "/robot_description" in answer.message


def test_it_becomes_ready_with_the_robots_description(
    planner: PlannerClient, node: Node, wait_for: Callable[..., None]
) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = node.create_publisher(String, "robot_description", latched)
    urdf = (ROBOT_FOLDER / "panda.urdf").read_text().replace("package://", f"file://{ROBOT_FOLDER}/")
    publisher.publish(String(data=urdf))

    def planned() -> bool:
        return bool(planner.call("plan_grasp", grasp_request("workspace")).outcome == PlanningOutcome.SUCCESS)

    wait_for(planned, ANSWER_TIMEOUT_S, "a plan after the robot's description was published")


def test_the_outcome_codes_are_the_services() -> None:
    for service in (PlanGrasp.Request, PlanMotion.Request):
        for outcome in PlanningOutcome:
            if hasattr(service, outcome.name):
                assert getattr(service, outcome.name) == outcome
    assert PlanGrasp.Request.APPROACH_BLOCKED == PlanningOutcome.APPROACH_BLOCKED


def test_a_grasp_is_planned_alike_in_both_frames(planner: PlannerClient) -> None:
    scene_id = set_box_scene(planner)
    in_workspace = planner.call("plan_grasp", grasp_request("workspace", scene_id=scene_id))
    in_base = planner.call("plan_grasp", grasp_request("panda_link0", (0.35, -0.15, -0.05), scene_id))
    for answer in (in_workspace, in_base):
        assert answer.outcome == PlanningOutcome.SUCCESS, answer.message
        assert answer.grasp_index == 0
        assert answer.planning_ms > 0.0
        parts = (answer.reach, answer.approach, answer.retreat)
        for part in parts:
            assert list(part.joint_names) == ARM_JOINTS
            assert np.all(np.diff(seconds(part)) > 0.0)
            assert all(len(point.velocities) == len(point.accelerations) == 7 for point in part.points)
        for before, after in ((parts[0], parts[1]), (parts[1], parts[2])):
            np.testing.assert_allclose(before.points[-1].positions, after.points[0].positions, atol=1e-6)
        np.testing.assert_allclose(parts[0].points[0].positions, HOME, atol=1e-6)
    assert in_workspace.grasp_pose.position.z == pytest.approx(0.13)
    assert in_base.grasp_pose.position.z == pytest.approx(0.08)
    np.testing.assert_allclose(
        in_workspace.approach.points[-1].positions, in_base.approach.points[-1].positions, atol=1e-5
    )


def test_after_the_lift_the_object_goes_to_the_bin_and_the_arm_home(planner: PlannerClient) -> None:
    scene_id = set_box_scene(planner)
    grasp = planner.call("plan_grasp", grasp_request("workspace", scene_id=scene_id))
    held = Mesh(vertices=[Point(x=x, y=y, z=z) for x in (-0.01, 0.01) for y in (-0.02, 0.02) for z in (-0.02, 0.02)])
    request = PlanMotion.Request(scene_id=scene_id, goal_name="bin", attached_object=held)
    request.start_joints = start_joints(list(grasp.retreat.points[-1].positions))
    to_bin = planner.call("plan_motion", request)
    assert to_bin.outcome == PlanningOutcome.SUCCESS, to_bin.message
    request = PlanMotion.Request(scene_id=scene_id, goal_joints=start_joints())
    request.start_joints = start_joints(list(to_bin.trajectory.points[-1].positions))
    back = planner.call("plan_motion", request)
    assert back.outcome == PlanningOutcome.SUCCESS, back.message
    np.testing.assert_allclose(back.trajectory.points[-1].positions, HOME, atol=1e-6)


def test_a_pose_goal_is_reached_from_home(planner: PlannerClient) -> None:
    request = PlanMotion.Request(start_joints=start_joints())
    request.goal_pose.header.frame_id = "workspace"
    request.goal_pose.pose = grasp_request("workspace").grasps.grasps[0].pose
    answer = planner.call("plan_motion", request)
    assert answer.outcome == PlanningOutcome.SUCCESS, answer.message
    request.goal_pose.header.frame_id = "camera"
    answer = planner.call("plan_motion", request)
    assert answer.outcome == PlanningOutcome.UNKNOWN_FRAME
    assert "'camera'" in answer.message


def test_scene_and_frame_that_are_not_known_are_named(planner: PlannerClient) -> None:
    answer = planner.call("plan_grasp", grasp_request("workspace", scene_id="scene-99"))
    assert answer.outcome == PlanningOutcome.UNKNOWN_SCENE
    assert "'scene-99'" in answer.message
    assert answer.grasp_index == -1
    answer = planner.call("plan_grasp", grasp_request("map"))
    assert answer.outcome == PlanningOutcome.UNKNOWN_FRAME
    assert "'map'" in answer.message
    assert "'workspace'" in answer.message
    answer = planner.call("plan_grasp", PlanGrasp.Request(start_joints=start_joints()))
    assert answer.outcome == PlanningOutcome.NO_CANDIDATES


def test_a_scene_that_cannot_be_used_is_refused(planner: PlannerClient) -> None:
    request = SetScene.Request(mesh=box_mesh())
    answer = planner.call("set_scene", request)
    assert not answer.success
    assert "no frame" in answer.message
    request.header.frame_id = "workspace"
    request.unseen_box_poses = [Pose()]
    assert "pose" in planner.call("set_scene", request).message
    request.unseen_box_sizes_m = [Vector3(x=0.1, y=-0.1, z=0.1)]
    answer = planner.call("set_scene", request)
    assert not answer.success
    assert "side length" in answer.message
    assert answer.scene_id == ""


def test_requests_that_say_too_little_or_too_much_are_refused(planner: PlannerClient) -> None:
    request = PlanMotion.Request(start_joints=start_joints())
    answer = planner.call("plan_motion", request)
    assert answer.outcome == PlanningOutcome.INVALID_REQUEST
    assert "one of goal_joints" in answer.message
    request.goal_name, request.goal_joints = "home", start_joints()
    assert planner.call("plan_motion", request).outcome == PlanningOutcome.INVALID_REQUEST
    request = PlanMotion.Request(goal_name="home", start_joints=JointState(name=ARM_JOINTS[:6], position=HOME[:6]))
    answer = planner.call("plan_motion", request)
    assert answer.outcome == PlanningOutcome.INVALID_REQUEST
    assert "panda_joint7" in answer.message
    flat = grasp_request("workspace")
    flat.grasps.grasps[0].pose.orientation.x = 0.0
    answer = planner.call("plan_grasp", flat)
    assert answer.outcome == PlanningOutcome.INVALID_REQUEST
    assert "Grasp 0" in answer.message


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("robot_file:=/nowhere.yaml", "/nowhere.yaml"),
        ("lift_limit_m:=-1", "lift_limit_m"),
        ("seed:=two", "whole number"),
    ],
)
def test_a_parameter_that_cannot_be_used_ends_the_node_with_a_sentence(
    ros_domain: int,
    start_process: Callable[..., Any],
    wait_for: Callable[..., None],
    parameter: str,
    words: str,
) -> None:
    argv = [sys.executable, "-m", "giga_grasping.embedded_planner_node", "--ros-args", "-p", parameter]
    handle = start_process(argv, "misled_planner")
    wait_for(lambda: handle.process.poll() is not None, ANSWER_TIMEOUT_S, "the end of the node")
    assert handle.process.returncode == 2
    assert words in handle.output()
    assert "Traceback" not in handle.output()
