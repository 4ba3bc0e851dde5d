"""executor_node started otherwise: with a server missing, asking before each motion, planning only, inactive."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from scripted_cell import ScriptedCell
from test_executor_node import LIFT, SCENE, Bench

from giga_grasping.pick_outcome import After, PickOutcome


@pytest.fixture
def start_bench(ros_domain: int, start_process: Any, wait_for: Any) -> Iterator[Any]:
    ended: list[Any] = []

    def start(*parameters: str) -> Bench:
        argv = [sys.executable, "-m", "giga_grasping.executor_node", "--ros-args"]
        process = start_process([*argv, *(word for each in parameters for word in ("-p", each))], "executor_node")
        bench = Bench()
        ended.extend((process.stop, bench.close))
        wait_for(bench.client.execute.server_is_ready, 30.0, "executor_node offers execute_grasp")
        time.sleep(0.5)  # the graph shows a server a moment before it is connected, and nothing tells when it is
        return bench

    yield start
    for end in ended:
        end()


def test_what_is_missing_is_named(start_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "test_executor_node.ScriptedCell", lambda context: ScriptedCell(context, frozenset({"grasp", "plan_motion"}))
    )
    bench = start_bench()
    answer = bench.result(bench.execute(), 40.0)
    assert answer.result.outcome == PickOutcome.NOT_READY
    assert "action server panda_gripper/grasp" in answer.result.message
    assert "service /plan_motion" in answer.result.message
    assert "controller" not in answer.result.message


def test_each_motion_waits_for_a_confirmation(start_bench: Any, wait_for: Any) -> None:
    bench = start_bench("confirm:=true")
    handle = bench.execute(after=After.HOLD)
    for number, motion in enumerate(("open", "reach", "approach", "close", "retreat")):
        wait_for(lambda: bench.call(bench.client.confirm).success, 30.0, f"{motion} waits for its confirmation")
        wait_for(lambda: motion in bench.cell.calls, 20.0, f"{motion} goes on once confirmed")  # noqa: B023
        assert bench.cell.calls == [*SCENE, *LIFT[: number + 2]]
    assert bench.result(handle).result.outcome == PickOutcome.SUCCESS


def test_a_dry_run_moves_nothing(start_bench: Any) -> None:
    bench = start_bench("dry_run:=true")
    answer = bench.result(bench.execute(), 40.0)
    assert answer.result.outcome == PickOutcome.SUCCESS
    assert "dry run" in answer.result.message
    assert bench.cell.calls == [*SCENE, "plan_grasp"]


def test_an_inactive_executor_says_so_until_it_is_activated(start_bench: Any) -> None:
    bench = start_bench("autostart:=false")
    answer = bench.result(bench.execute())
    assert answer.result.outcome == PickOutcome.NOT_READY
    assert "not active" in answer.result.message
    change = bench.client.create_client(ChangeState, "executor_node/change_state")
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        request = ChangeState.Request(transition=Transition(id=transition))

        async def exchange(request: ChangeState.Request = request) -> Any:
            return await change.call_async(request)

        assert bench.client_thread.run(exchange).success
    assert bench.result(bench.execute(after=After.HOLD), 40.0).result.outcome == PickOutcome.SUCCESS


def test_a_parameter_out_of_its_range_is_refused_in_words(start_process: Any, ros_domain: int, wait_for: Any) -> None:
    argv = [sys.executable, "-m", "giga_grasping.executor_node", "--ros-args", "-p", "max_candidates:=0"]
    process = start_process(argv, "executor_node")
    wait_for(lambda: process.process.poll() is not None, 30.0, "executor_node ends")
    assert process.process.poll() != 0
    assert "max_candidates" in process.output()
    assert "Traceback" not in process.output()
