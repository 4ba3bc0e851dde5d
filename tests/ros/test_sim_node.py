"""sim_node over the real middleware, as a client sees it."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("pybullet", reason="PyBullet is not installed")

import rclpy
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand
from control_msgs.msg import JointTolerance
from franka_msgs.action import Grasp, Homing, Move
from giga_msgs.srv import InjectFault, ResetScene
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

pytestmark = pytest.mark.ros

CONFIG = Path(__file__).resolve().parents[2] / "config"
TIMEOUT_S = 30.0
START_TIMEOUT_S = 90.0
ARM_JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])
REACHED_RAD = 2e-3
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Client:
    """A node that keeps the newest message of each topic and calls sim_node; its executor runs in a thread."""

    def __init__(self):
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node("sim_node_client", context=self.context)
        self.received = {}
        self.static_frames = set()
        for name, kind, qos in (
            ("/joint_states", JointState, 10),
            ("/clock", Clock, 10),
            ("/tf", TFMessage, 100),
            ("/tf_static", TFMessage, LATCHED),
            ("/robot_description", String, LATCHED),
            ("/camera/depth/image_rect_raw", Image, qos_profile_sensor_data),
            ("/camera/depth/camera_info", CameraInfo, qos_profile_sensor_data),
        ):
            self.node.create_subscription(kind, name, lambda message, name=name: self._keep(name, message), qos)
        self.trajectory = ActionClient(
            self.node, FollowJointTrajectory, "/panda_arm_controller/follow_joint_trajectory"
        )
        self.homing = ActionClient(self.node, Homing, "/panda_gripper/homing")
        self.move = ActionClient(self.node, Move, "/panda_gripper/move")
        self.grasp = ActionClient(self.node, Grasp, "/panda_gripper/grasp")
        self.bridge = ActionClient(self.node, GripperCommand, "/panda_gripper/gripper_action")
        self.reset_scene = self.node.create_client(ResetScene, "/sim_node/reset_scene")
        self.inject_fault = self.node.create_client(InjectFault, "/sim_node/inject_fault")
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _keep(self, name, message):
        self.received[name] = message

    def newest(self, name):
        return self.received.get(name)

    def close(self):
        self.executor.shutdown()
        self.thread.join(5.0)
        self.node.destroy_node()
        self.context.shutdown()

    @staticmethod
    def wait(future):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S), "no answer in time"
        return future.result()

    def call(self, client, **fields):
        assert client.wait_for_service(TIMEOUT_S)
        return self.wait(client.call_async(client.srv_type.Request(**fields)))

    def send(self, client, goal, feedback=None):
        assert client.wait_for_server(TIMEOUT_S)
        return self.wait(client.send_goal_async(goal, feedback_callback=feedback))

    def run(self, client, goal, feedback=None):
        handle = self.send(client, goal, feedback)
        assert handle.accepted
        answer = self.wait(handle.get_result_async())
        return answer.status, answer.result

    def positions(self):
        return np.array(self.newest("/joint_states").position)


@pytest.fixture(scope="module")
def client(ros_domain, start_process, wait_for):
    process = start_process([sys.executable, "-m", "giga_sim.sim_node", *node_arguments()], "sim_node")
    client = Client()
    wait_for(
        lambda: process.process.poll() is not None or client.newest("/camera/depth/image_rect_raw"),
        START_TIMEOUT_S,
        f"an image from sim_node\n{process.output()}",
    )
    assert process.process.poll() is None, process.output()
    client.process = process
    yield client
    client.close()


def node_arguments():
    cell_file, robot_file = CONFIG / "cell.yaml", CONFIG / "robots" / "panda.yaml"
    return ["--ros-args", "-p", f"cell_file:={cell_file}", "-p", f"robot_file:={robot_file}"]


@pytest.fixture
def fresh(client):
    """The client with a scene of seed 1 and the arm at home."""
    answer = client.call(client.reset_scene, scene="packed", count=3, seed=1)
    assert answer.success, answer.message
    return client


def seconds(stamp):
    return stamp.sec + stamp.nanosec * 1e-9


def trajectory_goal(targets, names=ARM_JOINTS, velocities=True):
    """A goal through (time, positions) pairs, at rest at each."""
    goal = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=list(names)))
    for time_s, positions in targets:
        point = JointTrajectoryPoint(positions=[float(value) for value in positions])
        if velocities:
            point.velocities = [0.0] * len(names)
        point.time_from_start = Duration(sec=int(time_s), nanosec=round((time_s % 1) * 1e9))
        goal.trajectory.points.append(point)
    return goal


AWAY = HOME + np.array([0.3, 0.1, -0.2, 0.1, 0.2, -0.1, 0.3])


def test_reaches_the_end_of_a_trajectory(fresh):
    feedbacks = []
    names = list(reversed(ARM_JOINTS))
    goal = trajectory_goal([(0.5, AWAY[::-1] / 2 + HOME[::-1] / 2), (1.0, AWAY[::-1])], names)
    status, result = fresh.run(fresh.trajectory, goal, feedbacks.append)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert (result.error_code, result.error_string) == (0, "Goal successfully reached!")
    assert feedbacks
    assert len(feedbacks[0].feedback.desired.positions) == 7


def test_halted_state_is_published_before_the_result(fresh, wait_for):
    status, _ = fresh.run(fresh.trajectory, trajectory_goal([(1.0, AWAY)]))
    assert status == GoalStatus.STATUS_SUCCEEDED
    wait_for(lambda: np.abs(fresh.positions()[:7] - AWAY).max() < REACHED_RAD, TIMEOUT_S, "the arm at the goal")
    halted = seconds(fresh.newest("/clock").clock)
    wait_for(
        lambda: seconds(fresh.newest("/camera/depth/image_rect_raw").header.stamp) == halted,
        TIMEOUT_S,
        "an image stamped with the halted time",
    )
    wait_for(
        lambda: seconds(fresh.newest("/camera/depth/camera_info").header.stamp) == halted,
        TIMEOUT_S,
        "its camera_info",
    )


def test_time_stands_still_while_nothing_happens(fresh, wait_for):
    clocks = []
    subscription = fresh.node.create_subscription(Clock, "/clock", lambda m: clocks.append(seconds(m.clock)), 10)
    wait_for(lambda: len(clocks) >= 3, TIMEOUT_S, "three repeats of the halted clock")
    fresh.node.destroy_subscription(subscription)
    assert len(set(clocks)) == 1


def test_joint_states_and_transforms(fresh, wait_for):
    stamps = []
    subscription = fresh.node.create_subscription(
        JointState, "/joint_states", lambda m: stamps.append(seconds(m.header.stamp)), 1000
    )
    fresh.run(fresh.trajectory, trajectory_goal([(1.0, AWAY)]))
    wait_for(lambda: len(stamps) > 50, TIMEOUT_S, "joint states while the arm moves")
    fresh.node.destroy_subscription(subscription)
    moving = np.unique(stamps)
    assert np.all(np.diff(stamps) >= 0)
    assert np.median(np.diff(moving)) == pytest.approx(0.01, abs=3e-3)
    assert fresh.newest("/joint_states").name == [*ARM_JOINTS, "panda_finger_joint1", "panda_finger_joint2"]

    wait_for(lambda: fresh.newest("/tf_static"), TIMEOUT_S, "static transforms")
    static = {(t.header.frame_id, t.child_frame_id) for t in fresh.newest("/tf_static").transforms}
    assert static == {
        ("panda_hand", "panda_hand_tcp"),
        ("panda_link0", "workspace"),
        ("workspace", "camera_depth_optical_frame"),
    }
    moving_frames = {t.child_frame_id for t in fresh.newest("/tf").transforms}
    assert moving_frames >= {"panda_hand", "panda_leftfinger", "panda_rightfinger"} | {
        f"panda_link{number}" for number in range(1, 9)
    }


def test_robot_description_is_latched_and_self_contained(client, wait_for):
    wait_for(lambda: client.newest("/robot_description"), TIMEOUT_S, "the robot description")
    description = client.newest("/robot_description").data
    assert "package://" not in description
    assert "file:///" in description


@pytest.mark.parametrize(
    "goal",
    [
        trajectory_goal([]),
        trajectory_goal([(1.0, AWAY[:6])], ARM_JOINTS[:6]),
        trajectory_goal([(1.0, AWAY)], [*ARM_JOINTS[:6], "elbow"]),
        trajectory_goal([(1.0, AWAY[:6])], ARM_JOINTS, velocities=False),
        trajectory_goal([(1.0, AWAY), (1.0, HOME)]),
        trajectory_goal([(1.0, AWAY), (0.5, HOME)]),
    ],
    ids=["no points", "joint missing", "joint unknown", "short positions", "equal times", "falling times"],
)
def test_rejects_what_the_controller_rejects(client, goal):
    assert not client.send(client.trajectory, goal).accepted


def test_cancel_stops_and_holds(fresh, wait_for):
    handle = fresh.send(fresh.trajectory, trajectory_goal([(60.0, AWAY)]))
    assert handle.accepted
    moved = HOME + 0.005
    wait_for(lambda: fresh.positions()[0] > moved[0], TIMEOUT_S, "the arm on its way")
    fresh.wait(handle.cancel_goal_async())
    answer = fresh.wait(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_CANCELED
    settled = []
    wait_for(lambda: settled.append(fresh.positions()[:7]) or len(settled) > 20, TIMEOUT_S, "time to drift")
    assert np.abs(settled[-1] - settled[-2]).max() < 1e-4
    assert settled[-1][0] < AWAY[0] - 0.01
    status, _ = fresh.run(fresh.trajectory, trajectory_goal([(1.0, HOME)]))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_a_new_goal_preempts(fresh, wait_for):
    first = fresh.send(fresh.trajectory, trajectory_goal([(600.0, AWAY)]))
    status, _ = fresh.run(fresh.trajectory, trajectory_goal([(1.0, HOME)]))
    assert status == GoalStatus.STATUS_SUCCEEDED
    answer = fresh.wait(first.get_result_async())
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FollowJointTrajectory.Result.INVALID_GOAL
    assert answer.result.error_string == "Current goal preempted by new incoming action."


def test_a_jump_ends_in_a_reflex(fresh):
    status, result = fresh.run(fresh.trajectory, trajectory_goal([(0.0, AWAY), (1.0, HOME)]))
    assert status == GoalStatus.STATUS_ABORTED
    assert "jumped" in result.error_string
    status, _ = fresh.run(fresh.trajectory, trajectory_goal([(1.0, AWAY)]))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_path_tolerance_is_watched(fresh):
    goal = trajectory_goal([(0.5, AWAY)])
    goal.path_tolerance = [JointTolerance(name="panda_joint1", position=1e-9)]
    status, result = fresh.run(fresh.trajectory, goal)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error_code == FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED
    assert result.error_string == "Aborted due to path tolerance violation"


def test_gripper_grasp_on_nothing_fails_its_epsilon(fresh, wait_for):
    goal = Grasp.Goal(width=0.04, speed=0.1, force=20.0)
    goal.epsilon.inner = goal.epsilon.outer = 0.005
    status, result = fresh.run(fresh.grasp, goal)
    assert status == GoalStatus.STATUS_ABORTED
    assert not result.success
    assert "not between 0.0350 and 0.0450 m" in result.error
    wait_for(lambda: fresh.positions()[7:].sum() < 1e-3, TIMEOUT_S, "closed fingers")
    status, result = fresh.run(fresh.move, Move.Goal(width=0.06, speed=0.1))
    assert (status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    wait_for(lambda: abs(fresh.positions()[7:].sum() - 0.06) < 1e-3, TIMEOUT_S, "fingers 60 mm apart")


def test_gripper_homing_opens_fully(fresh, wait_for):
    status, result = fresh.run(fresh.homing, Homing.Goal())
    assert (status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    wait_for(lambda: abs(fresh.positions()[7:].sum() - 0.08) < 1e-3, TIMEOUT_S, "open fingers")


def test_gripper_bridge_maps_as_the_driver_does(fresh):
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = 0.02, 10.0
    status, result = fresh.run(fresh.bridge, goal)
    assert status == GoalStatus.STATUS_ABORTED, "a close that meets nothing at that width"
    goal.command.position = 0.03
    status, result = fresh.run(fresh.bridge, goal)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.reached_goal
    assert result.position == pytest.approx(0.06, abs=1e-3)
    goal.command.position = 0.05
    status, _ = fresh.run(fresh.bridge, goal)
    assert status == GoalStatus.STATUS_ABORTED


def test_the_same_seed_sets_the_same_scene(client):
    answers = [client.call(client.reset_scene, scene="pile", count=4, seed=seed) for seed in (7, 8, 7)]
    assert all(answer.success for answer in answers)
    first, _, again = answers
    assert first.object_names
    assert first.object_poses[0].header.frame_id == "workspace"
    poses = [[str(stamped.pose) for stamped in answer.object_poses] for answer in answers]
    assert (first.object_names, poses[0]) == (again.object_names, poses[2])
    assert poses[0] != poses[1]


def test_an_unknown_scene_ends_with_a_sentence(client):
    answer = client.call(client.reset_scene, scene="heap", seed=1)
    assert not answer.success
    assert "heap" in answer.message
    assert "pile" in answer.message
    assert "packed" in answer.message
    answer = client.call(client.reset_scene, scene="pile", object_set="/nowhere/objects", seed=1)
    assert not answer.success
    assert "/nowhere/objects" in answer.message


def test_faults(fresh, wait_for):
    listed = fresh.call(fresh.inject_fault)
    assert set(listed.known_faults) >= {"camera_dead", "gripper_jammed", "arm_stuck"}
    assert not fresh.call(fresh.inject_fault, fault="flood", enable=True).success

    assert fresh.call(fresh.inject_fault, fault="gripper_jammed", enable=True).success
    status, _ = fresh.run(fresh.move, Move.Goal(width=0.02, speed=0.1))
    assert status == GoalStatus.STATUS_ABORTED
    answer = fresh.call(fresh.inject_fault, fault="gripper_jammed", enable=False)
    assert answer.active_faults == []
    status, _ = fresh.run(fresh.move, Move.Goal(width=0.02, speed=0.1))
    assert status == GoalStatus.STATUS_SUCCEEDED

    assert fresh.call(fresh.inject_fault, fault="camera_dead", enable=True).success
    last = fresh.newest("/camera/depth/image_rect_raw").header.stamp
    fresh.run(fresh.trajectory, trajectory_goal([(1.0, AWAY)]))
    assert fresh.newest("/camera/depth/image_rect_raw").header.stamp == last
    assert fresh.call(fresh.inject_fault, fault="camera_dead", enable=False).success

    assert fresh.call(fresh.inject_fault, fault="arm_stuck", enable=True).success
    handle = fresh.send(fresh.trajectory, trajectory_goal([(0.2, HOME)]))
    before = seconds(fresh.newest("/clock").clock)
    wait_for(lambda: seconds(fresh.newest("/clock").clock) > before + 1.0, TIMEOUT_S, "time to go on")
    assert np.abs(fresh.positions()[:7] - AWAY).max() < REACHED_RAD
    fresh.wait(handle.cancel_goal_async())
    assert fresh.wait(handle.get_result_async()).status == GoalStatus.STATUS_CANCELED
    assert fresh.call(fresh.inject_fault, fault="arm_stuck", enable=False).success
    status, _ = fresh.run(fresh.trajectory, trajectory_goal([(1.0, HOME)]))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_a_missing_file_ends_with_a_sentence(start_process, wait_for, ros_domain):
    process = start_process(
        [sys.executable, "-m", "giga_sim.sim_node", "--ros-args", "-p", "cell_file:=/nowhere/cell.yaml"], "broken"
    )
    wait_for(lambda: process.process.poll() is not None, START_TIMEOUT_S, "the end of the process")
    assert process.process.returncode == 1
    assert "Traceback" not in process.output()
    assert "/nowhere/cell.yaml" in process.output() or "robot_file" in process.output()


def test_interrupting_ends_cleanly(client):
    """Last in this file: it ends the node that the others talk to."""
    handle = client.send(client.trajectory, trajectory_goal([(600.0, AWAY)]))
    assert handle.accepted
    status = client.process.stop()
    assert status == 0, client.process.output()
    assert "Traceback" not in client.process.output()
