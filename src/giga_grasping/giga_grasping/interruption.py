"""Telling work in another thread to stop, and why. Knows no ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from giga_grasping.pick_outcome import PickError, PickOutcome

POLL_PERIOD_S = 0.01


class Interruption:
    """Set from any thread; every wait of the work checks it, so a stop takes effect within one poll period."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cause: tuple[PickOutcome, str] | None = None

    def interrupt(self, outcome: PickOutcome, message: str) -> None:
        """Ask the work to stop. The first cause stays."""
        with self._lock:
            if self._cause is None:
                self._cause = (outcome, message)

    def check(self) -> None:
        """Raise the PickError that names the cause, if there is one."""
        if self._cause is not None:
            raise PickError(*self._cause)


class Deadline:
    """When to give up waiting: too long on a clock, or that clock stands still for too long in wall time.

    A motion of a simulated arm takes as much wall time as the machine is slow, so its time is counted on the
    simulation's clock; but that clock may also stop for good.
    """

    def __init__(self, timeout_s: float, now_s: Callable[[], float], standstill_s: float) -> None:
        self._now_s = now_s
        self._last_s = now_s()
        self._end_s = self._last_s + timeout_s
        self._standstill_s = standstill_s
        self._last_change_s = time.monotonic()

    def has_passed(self) -> bool:
        now_s = self._now_s()
        if now_s != self._last_s:
            self._last_s, self._last_change_s = now_s, time.monotonic()
        return now_s > self._end_s or time.monotonic() - self._last_change_s > self._standstill_s


def wait_until(
    condition: Callable[[], bool], timeout_s: float, interruption: Interruption, on_timeout: Callable[[], PickError]
) -> None:
    """Poll `condition` on wall time: simulated time may stand still while nothing moves.

    Raises:
        PickError: interrupted, or `on_timeout()` once `timeout_s` have passed.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        interruption.check()
        if time.monotonic() > deadline_s:
            raise on_timeout()
        time.sleep(POLL_PERIOD_S)
    interruption.check()
