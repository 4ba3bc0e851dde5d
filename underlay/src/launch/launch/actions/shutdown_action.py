"""`Shutdown`: end everything that this launch started."""

from __future__ import annotations

from launch.action import Action
from launch.conditions import Condition
from launch.launch_context import LaunchContext
from launch.substitution import SomeText, text_of


class Shutdown(Action):
    """Most useful as a node's `on_exit`."""

    def __init__(self, *, reason: SomeText = "reason not given", condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.reason = reason

    def execute(self, context: LaunchContext) -> None:
        context.service.shut_down(text_of(context, self.reason))
