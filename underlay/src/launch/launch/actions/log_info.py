"""`LogInfo`: a line for the user."""

from __future__ import annotations

from launch.action import Action
from launch.conditions import Condition
from launch.launch_context import LaunchContext
from launch.substitution import SomeText, text_of


class LogInfo(Action):
    """Prints `msg`."""

    def __init__(self, *, msg: SomeText, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        context.service.log("INFO", "launch.user", text_of(context, self.msg))
