"""safety_node over real DDS: a stop ends every goal, old and new, until it is released."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from franka_msgs.action import Move
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from scripted_cell import HOME, SERVER_THREADS, ScriptedCell, Spinning, trajectory_to
from std_msgs.msg import Bool
from std_srvs.srv import Trigger


class Operator(Node):
    def __init__(self, context: Context) -> None:
        super().__init__("operator", context=context)
        self.controller = ActionClient(self, FollowJointTrajectory, "panda_arm_controller/follow_joint_trajectory")
        self.move = ActionClient(self, Move, "panda_gripper/move")
        self.stop = self.create_client(Trigger, "stop")
        self.release = self.create_client(Trigger, "release")
        self.told: list[bool] = []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(Bool, "safety_stopped", lambda message: self.told.append(message.data), latched)


class Bench:
    def __init__(self) -> None:
        self.cell_thread, self.operator_thread = Spinning(ScriptedCell, SERVER_THREADS), Spinning(Operator)
        self.cell: ScriptedCell = self.cell_thread.node
        self.operator: Operator = self.operator_thread.node

    def close(self) -> None:
        self.operator_thread.stop()
        self.cell_thread.stop()

    def call(self, client: Any) -> Trigger.Response:
        async def exchange() -> Any:
            return await client.call_async(Trigger.Request())

        return self.operator_thread.run(exchange)

    def send(self, client: ActionClient, goal: Any) -> Any:
        async def exchange() -> Any:
            return await client.send_goal_async(goal)

        return self.operator_thread.run(exchange)

    def status(self, handle: Any) -> int:
        async def exchange() -> Any:
            return await handle.get_result_async()

        return int(self.operator_thread.run(exchange).status)

    def send_reach(self) -> Any:
        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to(HOME, "reach"))
        return self.send(self.operator.controller, goal)


@pytest.fixture(scope="module")
def running(ros_domain: int, start_process: Any, wait_for: Any) -> Iterator[Bench]:
    safety = start_process([sys.executable, "-m", "giga_grasping.safety_node"], "safety_node")
    bench = Bench()
    try:
        wait_for(bench.operator.stop.service_is_ready, 30.0, "safety_node offers stop")
        wait_for(bench.operator.controller.server_is_ready, 30.0, "the scripted cell offers its controller")
        wait_for(
            lambda: "panda_gripper/grasp is" in bench.call(bench.operator.stop).message, 30.0, "it found the robot"
        )
        bench.call(bench.operator.release)
        wait_for(lambda: bench.operator.told[-1:] == [False], 30.0, "safety_stopped says that nothing is stopped")
        yield bench
        assert "Traceback" not in safety.output(), safety.output()
    finally:
        bench.close()


@pytest.fixture
def bench(running: Bench) -> Iterator[Bench]:
    running.cell.reset()
    yield running
    running.call(running.operator.release)


def test_a_stop_ends_arm_and_gripper(bench: Bench, wait_for: Any) -> None:
    bench.cell.hang_on = {"reach", "open"}
    reach = bench.send_reach()
    opening = bench.send(bench.operator.move, Move.Goal(width=0.08, speed=0.1))
    wait_for(lambda: {"reach", "open"} <= set(bench.cell.calls), 20.0, "arm and gripper move")
    answer = bench.call(bench.operator.stop)
    assert answer.success
    assert "panda_arm_controller/follow_joint_trajectory" in answer.message
    assert "not there: panda_gripper/homing, panda_gripper/gripper_action" in answer.message
    assert bench.status(reach) == GoalStatus.STATUS_CANCELED
    assert bench.status(opening) == GoalStatus.STATUS_CANCELED
    wait_for(lambda: bench.operator.told[-1], 20.0, "safety_stopped says so")


def test_what_is_sent_during_a_stop_ends_too_until_the_release(bench: Bench, wait_for: Any) -> None:
    bench.cell.hang_on = {"reach"}
    assert bench.call(bench.operator.stop).success
    for _ in range(3):
        assert bench.status(bench.send_reach()) == GoalStatus.STATUS_CANCELED
    assert bench.call(bench.operator.release).message == "released"
    wait_for(lambda: not bench.operator.told[-1], 20.0, "safety_stopped says that motion is free")
    bench.cell.hang_on = set()
    assert bench.status(bench.send_reach()) == GoalStatus.STATUS_SUCCEEDED
