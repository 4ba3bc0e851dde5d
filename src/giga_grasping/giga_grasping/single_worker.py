"""One piece of work at a time, in a thread of its own, awaited by coroutines on the executor's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.task import Future

from giga_grasping.interruption import Interruption
from giga_grasping.pick_outcome import PickError, PickOutcome
from giga_grasping.ros_calls import executor_of


class Work:
    """What is being done: its name, its interruption, and the answer to come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.interruption = Interruption()
        self.answer = Future()
        self.keepalive_s = 0.0
        self._renewed_s = time.monotonic()

    def renew(self) -> None:
        """The client is still there."""
        self._renewed_s = time.monotonic()

    def interrupt_if_abandoned(self) -> None:
        if 0.0 < self.keepalive_s < time.monotonic() - self._renewed_s:
            message = f"the client has not renewed its goal within {self.keepalive_s:g} s"
            self.interruption.interrupt(PickOutcome.CANCELED, message)


class SingleWorker:
    """Runs one function at a time. All methods are for the executor's thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.current: Work | None = None

    def start(self, name: str, function: Callable[[Work], Any]) -> Work:
        """Begin; await the `answer` of what is returned, which is what `function` returns.

        Raises:
            PickError: BUSY, naming what is being done.
        """
        if self.current is not None:
            raise PickError(PickOutcome.BUSY, f"busy: {self.current.name} is being carried out")
        work = self.current = Work(name)
        threading.Thread(target=self._run, args=(work, function), name=name, daemon=True).start()
        return work

    def interrupt(self, outcome: PickOutcome, message: str) -> None:
        """Ask the current work, if any, to stop."""
        if self.current is not None:
            self.current.interruption.interrupt(outcome, message)

    def _run(self, work: Work, function: Callable[[Work], Any]) -> None:
        try:
            value, error = function(work), None
        except Exception as raised:  # noqa: BLE001
            value, error = None, raised

        def finish() -> None:
            self.current = None
            if error is not None:
                work.answer.set_exception(error)
            else:
                work.answer.set_result(value)

        executor_of(self._node).create_task(finish)
