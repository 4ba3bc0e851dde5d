"""The thread that owns the simulation: it steps it, paces it against the wall clock, and runs what others ask for.

Two modes. Free-running: time advances always. Lockstep: time advances only while something is going on (a goal, or
things coming to rest after one) and then halts; a result is handed to its client at the halt, so that whatever the
client does next begins at the same simulated time in every run, however long the client took.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from giga_sim.simulated_cell import SimulatedCell

_LOGGER = logging.getLogger(__name__)

Result = TypeVar("Result")
AnyActivity = TypeVar("AnyActivity", bound="Activity")

STATE_RATE_HZ = 100
FEEDBACK_RATE_HZ = 20
# While halted, what was published last is published again this often (wall time), for those who joined late.
HALTED_REPEAT_S = 0.5
# When the machine falls further behind than this (wall time), the lost time is given up rather than caught up with.
PACING_SLACK_S = 0.1

_STOPPED = "the simulation has stopped"


@dataclass(frozen=True)
class Pace:
    """How simulated time runs: `real_time_factor` 0 is as fast as the machine allows."""

    lockstep: bool
    real_time_factor: float
    image_period_s: float = 0.5


class SimulationStoppedError(RuntimeError):
    """The simulation's thread has ended; nothing that was asked of it will happen."""


class Activity(Protocol):
    """A goal being carried out."""

    @property
    def finished(self) -> bool:
        """Whether the outcome is known."""

    @property
    def interrupted(self) -> bool:
        """Whether it ended because its client or another one said so, not by itself."""


class SimulationListener(Protocol):
    """Who is told about the simulation; called in the simulation's thread, so be quick."""

    def on_state(self, cell: SimulatedCell) -> None:
        """A hundred times a second of simulated time, and at each halt."""

    def on_feedback(self, cell: SimulatedCell) -> None:
        """Twenty times a second of simulated time."""

    def on_image(self, cell: SimulatedCell) -> None:
        """When a depth image is due, and at each halt."""

    def on_halted(self) -> None:
        """While halted, twice a second of wall time: repeat what was said last."""


@dataclass
class _Request(Generic[Result]):
    action: Callable[[], Result]
    future: Future[Result]


@dataclass
class _Pending(Generic[AnyActivity]):
    activity: AnyActivity
    told: Future[AnyActivity]

    def tell(self) -> None:
        self.told.set_result(self.activity)


class SimulationLoop:
    """Runs a `SimulatedCell` in a thread of its own."""

    def __init__(self, cell: SimulatedCell, pace: Pace, listener: SimulationListener) -> None:
        self._cell = cell
        self._pace = pace
        self._listener = listener
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._pending: list[_Pending[Any]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)
        self._next_state_s = self._next_feedback_s = self._next_image_s = cell.time_s
        self._paced_from = (0.0, 0.0)

    def start(self) -> None:
        """Start the thread; from now on only it may touch the cell."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop the thread and wait for it; what was asked and not done yet fails with SimulationStoppedError."""
        self._stopping.set()
        self._requests.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def ask(self, action: Callable[[], Result]) -> Future[Result]:
        """Run `action` in the simulation's thread, between two steps; the future carries what it returns or raises."""
        future: Future[Result] = Future()
        self._requests.put(_Request(action, future))
        if self._stopping.is_set():
            self._drain()
        return future

    def carry_out(self, begin: Callable[[], AnyActivity]) -> Future[AnyActivity]:
        """Run `begin` in the simulation's thread; the future carries the activity it began, once that has ended.

        In lockstep that is told at the halt. What `begin` raises, the future raises.
        """
        told: Future[AnyActivity] = Future()

        def register() -> None:
            self._pending.append(_Pending(begin(), told))

        def pass_on_failure(registered: Future[None]) -> None:
            error = registered.exception()
            if error is not None:
                told.set_exception(error)

        self.ask(register).add_done_callback(pass_on_failure)
        return told

    def _run(self) -> None:
        try:
            halted = False
            while not self._stopping.is_set():
                if self._cell.is_busy or not self._pace.lockstep:
                    self._take_requests(wait_s=0.0)
                    if halted or self._paced_from == (0.0, 0.0):
                        self._pace_from_here()
                    halted = False
                    self._advance()
                elif not halted:
                    self._halt()
                    halted = True
                elif self._take_requests(wait_s=HALTED_REPEAT_S):
                    self._tell_outcomes(halted=True)
                else:
                    self._listener.on_halted()
        except Exception:
            # The thread is the simulation: say why it ended, then let every client fail.
            _LOGGER.exception("the simulation's thread ended with an error")
        finally:
            self._stopping.set()
            self._drain()

    def _advance(self) -> None:
        cell = self._cell
        cell.step()
        now_s = cell.time_s
        if now_s >= self._next_state_s:
            self._next_state_s = max(self._next_state_s + 1.0 / STATE_RATE_HZ, now_s)
            self._listener.on_state(cell)
        if now_s >= self._next_feedback_s:
            self._next_feedback_s = max(self._next_feedback_s + 1.0 / FEEDBACK_RATE_HZ, now_s)
            self._listener.on_feedback(cell)
        if now_s >= self._next_image_s:
            self._next_image_s = now_s + self._pace.image_period_s
            cell.remove_delivered_and_fallen()
            self._listener.on_image(cell)
        if self._pending:
            self._tell_outcomes(halted=False)
        self._keep_pace()

    def _halt(self) -> None:
        """Publish the state of the halt, then hand out the results: who gets one finds everything up to date."""
        self._cell.remove_delivered_and_fallen()
        self._listener.on_state(self._cell)
        self._listener.on_image(self._cell)
        self._next_image_s = self._cell.time_s + self._pace.image_period_s
        self._tell_outcomes(halted=True)

    def _tell_outcomes(self, halted: bool) -> None:
        remaining = []
        wait_for_halt = self._pace.lockstep and not halted and not self._cell.has_active_goal
        for pending in self._pending:
            activity = pending.activity
            if activity.finished and (activity.interrupted or not wait_for_halt):
                pending.tell()
            else:
                remaining.append(pending)
        self._pending = remaining

    def _take_requests(self, wait_s: float) -> bool:
        """Run what was asked for; whether there was anything. Waits up to `wait_s` for the first."""
        took = False
        while True:
            try:
                request = self._requests.get(timeout=wait_s) if wait_s and not took else self._requests.get_nowait()
            except queue.Empty:
                return took
            took = True
            if request is not None:
                _fulfil(request)

    def _pace_from_here(self) -> None:
        self._paced_from = (time.monotonic(), self._cell.time_s)

    def _keep_pace(self) -> None:
        factor = self._pace.real_time_factor
        if factor <= 0.0:
            return
        wall_start, simulated_start = self._paced_from
        ahead_s = (self._cell.time_s - simulated_start) / factor - (time.monotonic() - wall_start)
        if ahead_s > 0.001:
            time.sleep(ahead_s)
        elif ahead_s < -PACING_SLACK_S:
            self._pace_from_here()

    def _drain(self) -> None:
        """Fail everything that will not be done any more."""
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is not None:
                request.future.set_exception(SimulationStoppedError(_STOPPED))
        pending, self._pending = self._pending, []
        for unfinished in pending:
            unfinished.told.set_exception(SimulationStoppedError(_STOPPED))


def _fulfil(request: _Request[Result]) -> None:
    try:
        result = request.action()
    except Exception as error:  # noqa: BLE001 - whoever asked gets it, whatever it is
        request.future.set_exception(error)
    else:
        request.future.set_result(result)
