"""`GroupAction`: several actions under one condition and in a scope of their own."""

from __future__ import annotations

from collections.abc import Iterable

from launch.action import Action
from launch.conditions import Condition
from launch.launch_context import LaunchContext


class GroupAction(Action):
    """With `scoped`, the launch configurations and the namespace are after the group what they were before."""

    def __init__(self, actions: Iterable[Action], *, scoped: bool = True, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.actions = list(actions)
        self.scoped = scoped

    def execute(self, context: LaunchContext) -> None:
        if self.scoped:
            context.push_launch_configurations()
        for action in self.actions:
            action.visit(context)
        if self.scoped:
            context.pop_launch_configurations()
