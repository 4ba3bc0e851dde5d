"""`LaunchService`: carries out launch descriptions and looks after the processes until all have ended."""

from __future__ import annotations

import logging
import os
import queue
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TextIO

from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.running_process import ProcessToRun, RunningProcess

_log = logging.getLogger("launch")


class LaunchService:
    """Everything happens in the thread that calls `run`; other threads and signals put work into its queue."""

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False, debug: bool = False) -> None:
        self.context = LaunchContext(self)
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._descriptions: list[LaunchDescription] = []
        self._running: set[RunningProcess] = set()
        self._waiting_to_respawn = 0
        self._shutting_down = False
        self._labels_given = 0
        self._print_lock = threading.Lock()
        self._return_code = 0
        self._stream: TextIO = sys.stdout

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Add what `run` is to carry out."""
        self._descriptions.append(launch_description)

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Carry out the descriptions, then stay until every process has ended. Returns 0, or 1 after an error.

        Ctrl-C and SIGTERM end all processes in order; so does an error in a description.
        """
        if not shutdown_when_idle:
            raise NotImplementedError("this stand-in of launch ends when nothing runs any more")
        previous = self._install_signal_handlers()
        try:
            self._attempt(self._visit_descriptions)
            while self._running or (self._waiting_to_respawn and not self._shutting_down):
                self._attempt(self._work.get())
        finally:
            for process in self._running:
                process.kill()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._return_code

    def shutdown(self) -> None:
        """End all processes; may be called from another thread."""
        self._work.put(lambda: self.shut_down("LaunchService.shutdown() was called"))

    def shut_down(self, reason: str) -> None:
        """End all processes; only from an action."""
        if self._shutting_down:
            return
        self._shutting_down = True
        self.log("INFO", "launch", f"shutting down: {reason}")
        for process in self._running:
            process.end()

    def unique_label(self, name: str) -> str:
        """`name-1`, `name-2`, ...: processes are counted through the whole launch, as in the real package."""
        self._labels_given += 1
        return f"{name}-{self._labels_given}"

    def start(self, what: ProcessToRun) -> None:
        """Start a process, unless everything is ending already."""
        if self._shutting_down:
            return
        process = RunningProcess(what, lambda line: self._print(f"[{what.label}] {line}"), self._put_end)
        self._running.add(process)
        self.log("INFO", what.label, f"process started with pid [{process.pid}]")

    def log(self, level: str, name: str, message: str) -> None:
        """A line of the launcher's own."""
        self._print(f"[{level}] [{name}]: {message}")

    def _visit_descriptions(self) -> None:
        for description in self._descriptions:
            description.visit(self.context)

    def _attempt(self, work: Callable[[], None]) -> None:
        """An error in a launch file must not leave its processes behind: it ends them and the launch."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a launch file raises
            self._return_code = 1
            self.log("ERROR", "launch", f"{type(error).__name__}: {error}")
            _log.debug("where it happened", exc_info=True)
            self.shut_down("the error above")

    def _put_end(self, process: RunningProcess, status: int) -> None:
        self._work.put(lambda: self._after(process, status))

    def _after(self, process: RunningProcess, status: int) -> None:
        """What follows the end of a process: its report, its on_exit actions, its respawn."""
        what = process.what
        self._running.discard(process)
        if status == 0:
            self.log("INFO", what.label, f"process has finished cleanly [pid {process.pid}]")
        else:
            self.log(
                "ERROR",
                what.label,
                f"process has died [pid {process.pid}, exit code {status}, cmd '{shlex.join(what.command)}'].",
            )
        for action in what.on_exit:
            action.visit(self.context)
        if what.respawn and not self._shutting_down:
            self._waiting_to_respawn += 1
            timer = threading.Timer(what.respawn_delay_s, self._work.put, [lambda: self._respawn(what)])
            timer.daemon = True
            timer.start()

    def _respawn(self, what: ProcessToRun) -> None:
        self._waiting_to_respawn -= 1
        self.start(what)

    def _print(self, line: str) -> None:
        with self._print_lock:
            try:
                print(line, file=self._stream, flush=True)
            except BrokenPipeError:  # nobody reads any more, as in `... | head`
                self._stream = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the launch
                self.shutdown()

    def _install_signal_handlers(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}  # Python allows handlers only there; a caller in another thread uses shutdown()

        def on_signal(number: int, frame: FrameType | None) -> None:
            name = signal.Signals(number).name
            self._work.put(lambda: self.shut_down(f"{name} received"))

        return {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
