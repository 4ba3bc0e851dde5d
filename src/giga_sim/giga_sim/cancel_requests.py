"""Cancel requests, from the moment the client makes them until the goal's own state says so.

rclpy marks a goal as canceling only after the cancel callback has returned. A simulation that stops at once can have
the goal's outcome ready before that, and a goal that ends as canceled without being marked is an error to rclpy.
"""

from __future__ import annotations

import threading
import time

from rclpy.action.server import ServerGoalHandle

_MARK_TIMEOUT_S = 2.0
_POLL_S = 0.001


class CancelRequests:
    """The goals whose cancelling was accepted; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._goals: set[bytes] = set()

    def note(self, handle: ServerGoalHandle) -> None:
        """Remember that the goal is to be cancelled."""
        with self._lock:
            self._goals.add(bytes(handle.goal_id.uuid))

    def include(self, handle: ServerGoalHandle) -> bool:
        """Whether the goal is to be cancelled."""
        with self._lock:
            return bytes(handle.goal_id.uuid) in self._goals

    def take(self, handle: ServerGoalHandle) -> bool:
        """Whether the goal was to be cancelled, and forget it; returns once rclpy has marked it so."""
        with self._lock:
            if bytes(handle.goal_id.uuid) not in self._goals:
                return False
            self._goals.discard(bytes(handle.goal_id.uuid))
        deadline_s = time.monotonic() + _MARK_TIMEOUT_S
        while not handle.is_cancel_requested and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return bool(handle.is_cancel_requested)
