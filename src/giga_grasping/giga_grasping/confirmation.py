"""A robot that asks before each motion. Knows no ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from giga_grasping.interruption import Interruption, wait_until
from giga_grasping.pick_outcome import PickError, PickOutcome
from giga_grasping.pick_sequence import Robot, Trajectory


class ConfirmationGate:
    """Where a motion waits until somebody confirms it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting_for = ""

    def confirm(self) -> str:
        """Let the waiting motion go; return what it is, or an empty string when nothing waits."""
        with self._lock:
            confirmed, self._waiting_for = self._waiting_for, ""
            return confirmed

    def wait(self, purpose: str, timeout_s: float, interruption: Interruption) -> None:
        with self._lock:
            self._waiting_for = purpose

        def expired() -> PickError:
            return PickError(PickOutcome.TIMED_OUT, f"nobody confirmed the motion '{purpose}' in {timeout_s:.0f} s")

        try:
            wait_until(lambda: self._waiting_for == "", timeout_s, interruption, expired)
        finally:
            self.confirm()


class ConfirmedRobot:
    """Passes everything on to another robot, once `ask(purpose)` has returned for what moves."""

    def __init__(self, robot: Robot, ask: Callable[[str], None]) -> None:
        self._robot = robot
        self._ask = ask

    def joints(self) -> Mapping[str, float]:
        return self._robot.joints()

    def at_home(self) -> bool:
        return self._robot.at_home()

    def finger_opening_m(self) -> float:
        return self._robot.finger_opening_m()

    def follow(self, trajectory: Trajectory, purpose: str) -> None:
        self._ask(purpose)
        self._robot.follow(trajectory, purpose)

    def retrace(self, trajectory: Trajectory, purpose: str) -> None:
        self._ask(purpose)
        self._robot.retrace(trajectory, purpose)

    def open_gripper(self) -> None:
        self._ask("open the gripper")
        self._robot.open_gripper()

    def close_gripper(self, width_m: float) -> None:
        self._ask("close the gripper")
        self._robot.close_gripper(width_m)
