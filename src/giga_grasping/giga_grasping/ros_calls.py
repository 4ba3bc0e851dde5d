"""Calls of services and actions that wait, for the one thread in which a pick is carried out.

Whatever touches ROS happens on the executor's own thread, as a coroutine there: rclpy's action client keeps its books
without a lock, and a goal sent from a second thread can miss its answer. The calling thread only watches: a deadline on
time, the interruption, and whether the other side is still there.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.executors import Executor
from rclpy.node import Node

from giga_grasping.interruption import POLL_PERIOD_S, Deadline, Interruption
from giga_grasping.pick_outcome import PickError, PickOutcome

DISCOVERY_TIMEOUT_S = 5.0
# The graph shows a server a moment before its connections are made; what is sent in between is lost.
CONNECTION_S = 0.3
CANCEL_TIMEOUT_S = 10.0
# How long the clock may stand still, in wall time, while a goal is being carried out.
CLOCK_STANDSTILL_S = 30.0
# How often the graph is asked whether a server still exists.
PRESENCE_PERIOD_S = 0.5


def executor_of(node: Node) -> Executor:
    """The executor that spins a node. Raises RuntimeError before it has one, or after it was taken out of it."""
    if node.executor is None:
        raise RuntimeError(f"{node.get_name()} is not spun by an executor")
    return node.executor


class _Exchange:
    """A coroutine running on the executor's thread, watched from another."""

    def __init__(self, node: Node, coroutine: Callable[[], Awaitable[Any]]) -> None:
        self._coroutine = coroutine
        self._finished = threading.Event()
        self._value: Any = None
        self._error: Exception | None = None
        self._task = executor_of(node).create_task(self._run)

    async def _run(self) -> None:
        # An exception that left this coroutine would end the executor; it belongs to the thread that waits.
        try:
            self._value = await self._coroutine()
        except Exception as error:  # noqa: BLE001
            self._error = error
        self._finished.set()

    def wait(self, timeout_s: float) -> bool:
        return self._finished.wait(timeout_s)

    def value(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def abandon(self, node: Node) -> None:
        """Drop the coroutine: nobody waits for it any more."""
        executor_of(node).create_task(self._task.cancel)


class RosCalls:
    """Blocking calls that end by an answer, a deadline, or the interruption; never by waiting for ever."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._first_seen_s: dict[Client | ActionClient, float] = {}

    def is_ready(self, client: Client | ActionClient) -> bool:
        """Whether the server is there and has been for long enough to be connected."""
        if not _is_there(client):
            self._first_seen_s.pop(client, None)
            return False
        return time.monotonic() - self._first_seen_s.setdefault(client, time.monotonic()) >= CONNECTION_S

    def call(self, client: Client, request: Any, timeout_s: float, interruption: Interruption) -> Any:
        """Call a service and return its response; the time allowed is wall time.

        Raises:
            PickError: NOT_READY when nobody offers it, TIMED_OUT without an answer, or the interruption's cause.
        """
        name = client.service_name
        self._require(client, f"the service {name}", interruption)

        async def exchange() -> Any:
            return await client.call_async(request)

        deadline = Deadline(timeout_s, time.monotonic, math.inf)
        return self._watch(exchange, client, deadline, f"the service {name}", interruption)

    def perform(
        self, client: ActionClient, name: str, goal: Any, timeout_s: float, interruption: Interruption
    ) -> tuple[int, Any]:
        """Send a goal and return (status, result) once it has ended; the time allowed is the node's, simulated or not.

        What ends the wait early cancels the goal first.

        Raises:
            PickError: NOT_READY, EXECUTION_FAILED when the goal is refused, TIMED_OUT, or the interruption's cause.
        """
        self._require(client, f"the action server {name}", interruption)
        handles: list[Any] = []
        abandoned = threading.Event()

        async def exchange() -> Any:
            handle = await client.send_goal_async(goal)
            if not handle.accepted:
                return None
            handles.append(handle)
            if abandoned.is_set():
                await handle.cancel_goal_async()
            return await handle.get_result_async()

        async def cancel() -> None:
            abandoned.set()
            for handle in handles:
                await handle.cancel_goal_async()

        clock = self._node.get_clock()
        deadline = Deadline(timeout_s, lambda: clock.now().nanoseconds / 1e9, CLOCK_STANDSTILL_S)
        answer = self._watch(exchange, client, deadline, f"the action server {name}", interruption, cancel)
        if answer is None:
            raise PickError(PickOutcome.EXECUTION_FAILED, f"the action server {name} refused the goal")
        return answer.status, answer.result

    def _require(self, client: Client | ActionClient, what: str, interruption: Interruption) -> None:
        deadline_s = time.monotonic() + DISCOVERY_TIMEOUT_S
        while not self.is_ready(client):
            interruption.check()
            if time.monotonic() > deadline_s:
                raise PickError(PickOutcome.NOT_READY, f"{what} is not there: start the node that offers it")
            time.sleep(POLL_PERIOD_S)

    def _watch(
        self,
        coroutine: Callable[[], Awaitable[Any]],
        client: Client | ActionClient,
        deadline: Deadline,
        what: str,
        interruption: Interruption,
        cancel: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        exchange = _Exchange(self._node, coroutine)
        next_look_s = time.monotonic() + PRESENCE_PERIOD_S
        try:
            while not exchange.wait(POLL_PERIOD_S):
                interruption.check()
                if deadline.has_passed():
                    raise PickError(PickOutcome.TIMED_OUT, f"{what} did not answer in the time allowed")
                if time.monotonic() > next_look_s:
                    next_look_s = time.monotonic() + PRESENCE_PERIOD_S
                    if not _is_there(client) and not exchange.wait(PRESENCE_PERIOD_S):
                        raise PickError(PickOutcome.NOT_READY, f"{what} went away while it was at work")
        except PickError:
            if cancel is not None:
                _Exchange(self._node, cancel).wait(CANCEL_TIMEOUT_S)
                exchange.wait(CANCEL_TIMEOUT_S)
            if not exchange.wait(0.0):
                exchange.abandon(self._node)
            raise
        return exchange.value()


def _is_there(client: Client | ActionClient) -> bool:
    return bool(client.service_is_ready() if isinstance(client, Client) else client.server_is_ready())


def succeeded(status: int) -> bool:
    return bool(status == GoalStatus.STATUS_SUCCEEDED)


def was_canceled(status: int) -> bool:
    return bool(status == GoalStatus.STATUS_CANCELED)
