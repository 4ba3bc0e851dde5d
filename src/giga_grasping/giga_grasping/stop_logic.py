"""What a stop means, without ROS: while it holds, every motion goal of the robot is canceled, again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StopReport:
    """What one round of cancelling reached: names of the action servers asked, and of those that are not there."""

    asked: tuple[str, ...]
    missing: tuple[str, ...]

    def sentence(self) -> str:
        if not self.asked:
            return f"none of the robot's action servers is there to be canceled: {', '.join(self.missing)}"
        sentence = f"every goal of {', '.join(self.asked)} is being canceled"
        return f"{sentence}; not there: {', '.join(self.missing)}" if self.missing else sentence


class StopLogic:
    """Holds whether the robot is stopped.

    `cancel_all_goals` maps the name of an action server to a function that asks it to cancel all its goals, now and
    without waiting, and returns False when the server is not there.
    """

    def __init__(self, cancel_all_goals: Mapping[str, Callable[[], bool]]) -> None:
        self._cancel_all_goals = cancel_all_goals
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self) -> StopReport:
        """Hold the robot: from now on until `release`, no goal stays active."""
        self._stopped = True
        return self._cancel()

    def release(self) -> bool:
        """Allow motion again; return whether the robot was held."""
        was_stopped, self._stopped = self._stopped, False
        return was_stopped

    def tick(self) -> StopReport | None:
        """Call this often: cancels what was started during the stop. None while the robot is free."""
        return self._cancel() if self._stopped else None

    def _cancel(self) -> StopReport:
        reached = {name: cancel() for name, cancel in self._cancel_all_goals.items()}
        return StopReport(
            asked=tuple(name for name, there in reached.items() if there),
            missing=tuple(name for name, there in reached.items() if not there),
        )
