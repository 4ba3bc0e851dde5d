"""`Action`: one thing that a launch description does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.conditions import Condition
    from launch.launch_context import LaunchContext
    from launch.launch_description import LaunchDescription


class Action:
    """Base of all actions; does nothing when its condition does not hold."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self.condition = condition

    def visit(self, context: LaunchContext) -> None:
        """Carry out the action, and after it everything it stands for."""
        if self.condition is not None and not self.condition.evaluate(context):
            return
        for entity in self.execute(context) or ():
            entity.visit(context)

    def execute(self, context: LaunchContext) -> Sequence[Action | LaunchDescription] | None:
        """What the action does; what it returns is visited next."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")
