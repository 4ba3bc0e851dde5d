"""`DeclareLaunchArgument`: an argument that the user of a launch file may give."""

from __future__ import annotations

from collections.abc import Iterable

from launch.action import Action
from launch.conditions import Condition
from launch.launch_context import LaunchContext
from launch.substitution import SomeText, as_substitutions, text_of


class DeclareLaunchArgument(Action):
    """Sets the launch configuration of that name to its default unless it was given, and checks the choices."""

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeText | None = None,
        description: str | None = None,
        choices: Iterable[str] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.name = name
        self.default_value = None if default_value is None else as_substitutions(default_value)
        self.description = description or "no description given"
        self.choices = list(choices) if choices is not None else None

    def execute(self, context: LaunchContext) -> None:
        values = context.launch_configurations
        if self.name not in values:
            if self.default_value is None:
                raise RuntimeError(
                    f"Required launch argument '{self.name}' ({self.description}) was not provided: "
                    f"add {self.name}:=VALUE"
                )
            values[self.name] = text_of(context, self.default_value)
        if self.choices is not None and values[self.name] not in self.choices:
            raise RuntimeError(
                f"Launch argument '{self.name}' is '{values[self.name]}'; it must be one of {', '.join(self.choices)}"
            )
