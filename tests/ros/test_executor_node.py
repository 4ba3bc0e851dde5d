"""executor_node over real DDS, with a scripted cell around it: orders, outcomes, refusals, cancel and stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from giga_msgs.action import ClearTable, ExecuteGrasp
from giga_msgs.msg import Grasp
from giga_msgs.srv import PlanGrasp
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from scripted_cell import HOME, PLACES, SERVER_THREADS, ScriptedCell, Spinning
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from giga_grasping.pick_outcome import After, PickOutcome

SCENE = ["reconstruct", "set_scene"]
LIFT = ["plan_grasp", "open", "reach", "approach", "close", "retreat"]
DELIVERY = ["plan_bin", "bin", "open", "plan_home", "home"]


class Client(Node):
    """What a user's program would be."""

    def __init__(self, context: Context) -> None:
        super().__init__("client", context=context)
        self.execute = ActionClient(self, ExecuteGrasp, "executor_node/execute_grasp")
        self.clear = ActionClient(self, ClearTable, "executor_node/clear_table")
        self.home = self.create_client(Trigger, "executor_node/home")
        self.confirm = self.create_client(Trigger, "executor_node/confirm")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.stopped = self.create_publisher(Bool, "safety_stopped", latched)
        self.diagnostics: list[Any] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.feedback: list[Any] = []

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics.extend(status for status in message.status if "executor_node" in status.name)


class Bench:
    """The scripted cell, a client, and what tests do with the two."""

    def __init__(self) -> None:
        self.cell_thread = Spinning(ScriptedCell, SERVER_THREADS)
        self.client_thread = Spinning(Client)
        self.cell: ScriptedCell = self.cell_thread.node
        self.client: Client = self.client_thread.node

    def close(self) -> None:
        self.client_thread.stop()
        self.cell_thread.stop()

    def send(self, client: ActionClient, goal: Any) -> Any:
        self.client.feedback.clear()

        async def exchange() -> Any:
            return await client.send_goal_async(goal, lambda message: self.client.feedback.append(message.feedback))

        return self.client_thread.run(exchange)

    def result(self, handle: Any, timeout_s: float = 20.0) -> Any:
        async def exchange() -> Any:
            return await handle.get_result_async()

        return self.client_thread.run(exchange, timeout_s)

    def cancel(self, handle: Any) -> None:
        async def exchange() -> Any:
            return await handle.cancel_goal_async()

        self.client_thread.run(exchange)

    def call(self, client: Any) -> Trigger.Response:
        async def exchange() -> Any:
            return await client.call_async(Trigger.Request())

        return self.client_thread.run(exchange)

    def execute(self, **fields: Any) -> Any:
        return self.send(self.client.execute, pick_goal(self.client, **fields))


def pick_goal(client: Node, after: After = After.BIN, count: int = 2, age_s: float = 0.0, **fields: Any) -> Any:
    goal = ExecuteGrasp.Goal(after=int(after), **fields)
    goal.candidates.header.frame_id = "panda_link0"
    now_ns = client.get_clock().now().nanoseconds - int(1e9 * age_s)
    goal.candidates.header.stamp.sec, goal.candidates.header.stamp.nanosec = divmod(now_ns, 1_000_000_000)
    for number in range(count):
        grasp = Grasp(width_m=0.03 + 0.01 * number, quality=0.9)
        grasp.pose.orientation.x = 1.0
        grasp.pose.orientation.w = 0.0
        goal.candidates.grasps.append(grasp)
    return goal


@pytest.fixture(scope="module")
def running(ros_domain: int, start_process: Any, wait_for: Any) -> Iterator[Bench]:
    executor = start_process([sys.executable, "-m", "giga_grasping.executor_node"], "executor_node")
    bench = Bench()
    try:
        wait_for(bench.client.execute.server_is_ready, 30.0, "executor_node offers execute_grasp")
        wait_for(
            lambda: any(status.message == "ready" for status in bench.client.diagnostics),
            30.0,
            "executor_node is ready",
        )
        yield bench
        assert "Traceback" not in executor.output(), executor.output()
        assert executor.stop() == 0
    finally:
        bench.close()


@pytest.fixture
def bench(running: Bench) -> Iterator[Bench]:
    running.cell.reset()
    time.sleep(0.1)  # the executor reads joint_states; it has no way to say that it has seen the arm jump home
    yield running
    assert running.cell.violations == []


def test_outcomes_are_those_of_the_interfaces() -> None:
    for outcome in PickOutcome:
        owner = ExecuteGrasp.Result if hasattr(ExecuteGrasp.Result, outcome.name) else PlanGrasp.Request
        assert getattr(owner, outcome.name) == outcome
    for after in After:
        assert getattr(ExecuteGrasp.Goal, after.name) == after


def test_a_pick_into_the_bin(bench: Bench) -> None:
    answer = bench.result(bench.execute())
    assert bench.cell.calls == SCENE + LIFT + DELIVERY
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.outcome == PickOutcome.SUCCESS
    assert answer.result.grasp_index == 1
    assert answer.result.grasp_used.width_m == pytest.approx(0.04)
    assert answer.result.measured_width_m == pytest.approx(0.03)
    assert answer.result.planning_ms == pytest.approx(18.0)
    phases = [feedback.phase for feedback in bench.client.feedback]
    assert phases == [
        "planning",
        "reaching",
        "approaching",
        "closing",
        "retreating",
        "transporting",
        "releasing",
        "homing",
    ]


def test_hold_and_home(bench: Bench) -> None:
    assert bench.result(bench.execute(after=After.HOLD)).result.outcome == PickOutcome.SUCCESS
    assert bench.cell.calls == SCENE + LIFT
    assert bench.call(bench.client.home).success
    assert bench.cell.calls[-2:] == ["plan_home", "home"]


def test_place_wants_a_pose(bench: Bench) -> None:
    answer = bench.result(bench.execute(after=After.PLACE))
    assert answer.result.outcome == PickOutcome.INVALID_REQUEST
    assert "place_pose" in answer.result.message
    assert bench.cell.calls == []


def test_nothing_grasped(bench: Bench) -> None:
    bench.cell.object_width_m = 0.0
    answer = bench.result(bench.execute())
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.outcome == PickOutcome.NOTHING_GRASPED
    assert bench.cell.calls == [*SCENE, *LIFT[:-1], "open", "retreat", "plan_home", "home"]


def test_the_planner_refuses(bench: Bench) -> None:
    bench.cell.plan_outcomes = {"plan_grasp": PlanGrasp.Request.IN_COLLISION}
    answer = bench.result(bench.execute())
    assert answer.result.outcome == PickOutcome.IN_COLLISION
    assert "every candidate collides" in answer.result.message
    assert answer.result.grasp_index == -1
    assert bench.cell.calls == [*SCENE, "plan_grasp"]


def test_the_controller_aborts_the_approach(bench: Bench) -> None:
    bench.cell.abort_on = {"approach"}
    answer = bench.result(bench.execute())
    assert answer.result.outcome == PickOutcome.EXECUTION_FAILED
    assert "panda_joint1 left its path" in answer.result.message
    # Back along the approach to where the reach ended, then home.
    assert bench.cell.calls == [*SCENE, *LIFT[:4], "reach", "plan_home", "home"]
    assert bench.cell.joints[0] == pytest.approx(PLACES["home"])


def test_the_gripper_jams(bench: Bench) -> None:
    bench.cell.abort_on = {"close"}
    answer = bench.result(bench.execute())
    assert answer.result.outcome == PickOutcome.GRIPPER_FAILED
    assert "jammed" in answer.result.message
    assert bench.cell.joints == pytest.approx(HOME)


@pytest.mark.parametrize("step", ["open", "reach", "approach", "close", "retreat", "bin", "home"])
def test_cancel_stops_every_phase_and_leaves_the_arm_usable(bench: Bench, wait_for: Any, step: str) -> None:
    bench.cell.hang_on = {step}
    handle = bench.execute()
    wait_for(lambda: step in bench.cell.calls, 20.0, f"the pick comes to {step}")
    bench.cancel(handle)
    answer = bench.result(handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.outcome == PickOutcome.CANCELED
    assert bench.cell.calls[-1] == f"canceled {step}"
    bench.cell.hang_on = set()
    assert bench.call(bench.client.home).success


def test_one_goal_at_a_time(bench: Bench, wait_for: Any) -> None:
    bench.cell.hang_on = {"reach"}
    first = bench.execute()
    wait_for(lambda: "reach" in bench.cell.calls, 20.0, "the pick is on its way")
    second = bench.result(bench.execute())
    assert second.result.outcome == PickOutcome.BUSY
    assert "execute_grasp" in second.result.message
    refused = bench.call(bench.client.home)
    assert (refused.success, refused.message[:4]) == (False, "BUSY")
    bench.cell.hang_on = set()
    assert bench.result(first).result.outcome == PickOutcome.SUCCESS


def test_a_stop_ends_the_motion_and_refuses_the_next(bench: Bench, wait_for: Any) -> None:
    bench.cell.hang_on = {"approach"}
    handle = bench.execute()
    wait_for(lambda: "approach" in bench.cell.calls, 20.0, "the pick comes to the approach")
    bench.client.stopped.publish(Bool(data=True))
    assert bench.result(handle).result.outcome == PickOutcome.STOPPED
    assert bench.cell.calls[-1] == "canceled approach"
    bench.cell.hang_on = set()
    assert bench.result(bench.execute()).result.outcome == PickOutcome.STOPPED
    cleared = bench.result(bench.send(bench.client.clear, ClearTable.Goal()))
    assert cleared.result.reason == ClearTable.Result.STOPPED
    bench.client.stopped.publish(Bool(data=False))
    wait_for(lambda: bench.call(bench.client.home).success, 20.0, "the executor moves again")


def test_a_client_that_does_not_renew_its_goal(bench: Bench) -> None:
    bench.cell.hang_on = {"reach"}
    answer = bench.result(bench.execute(keepalive_s=0.3))
    assert answer.result.outcome == PickOutcome.CANCELED
    assert "renewed" in answer.result.message


def test_stale_candidates(bench: Bench) -> None:
    answer = bench.result(bench.execute(age_s=10.0, max_age_s=5.0))
    assert answer.result.outcome == PickOutcome.CANDIDATES_STALE
    assert bench.cell.calls == []


def test_no_candidates(bench: Bench) -> None:
    assert bench.result(bench.execute(count=0)).result.outcome == PickOutcome.NO_CANDIDATES


def test_clear_the_table(bench: Bench) -> None:
    answer = bench.result(bench.send(bench.client.clear, ClearTable.Goal()), 60.0)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert (answer.result.attempts, answer.result.successes) == (5, 5)
    assert answer.result.reason == ClearTable.Result.NO_GRASPS
    assert answer.result.message == "0 objects, so many grasps"
    assert bench.cell.calls == ["detect", *SCENE, *LIFT, *DELIVERY] * 5 + ["detect"]
    assert [feedback.attempt for feedback in bench.client.feedback] == [1, 2, 3, 4, 5]
    first = bench.client.feedback[0]
    assert (first.success, first.outcome, first.candidates) == (True, PickOutcome.SUCCESS, 10)
    assert first.planning_ms == pytest.approx(18.0)
    assert first.detection_ms > 0.0


def test_two_failures_end_the_clearing(bench: Bench) -> None:
    bench.cell.object_width_m = 0.0
    answer = bench.result(bench.send(bench.client.clear, ClearTable.Goal()), 60.0)
    assert (answer.result.attempts, answer.result.successes) == (2, 0)
    assert answer.result.reason == ClearTable.Result.FAILURES


def test_perception_that_cannot_see(bench: Bench) -> None:
    bench.cell.detect_failure = "no depth image came on camera/depth/image_rect_raw"
    answer = bench.result(bench.send(bench.client.clear, ClearTable.Goal()))
    assert answer.result.reason == ClearTable.Result.ERROR
    assert "camera/depth/image_rect_raw" in answer.result.message


def test_cancel_the_clearing(bench: Bench, wait_for: Any) -> None:
    bench.cell.hang_on = {"retreat"}
    handle = bench.send(bench.client.clear, ClearTable.Goal())
    wait_for(lambda: "retreat" in bench.cell.calls, 20.0, "the first pick comes to its retreat")
    bench.cancel(handle)
    answer = bench.result(handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.reason == ClearTable.Result.CANCELED


def test_nothing_waits_for_a_confirmation(bench: Bench) -> None:
    assert not bench.call(bench.client.confirm).success
