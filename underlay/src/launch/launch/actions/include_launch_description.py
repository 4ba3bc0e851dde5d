"""`IncludeLaunchDescription`: another launch file, with arguments."""

from __future__ import annotations

from collections.abc import Iterable

from launch.action import Action
from launch.conditions import Condition
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitution import SomeText, text_of


class IncludeLaunchDescription(Action):
    """As in the real package, the arguments stay set afterwards unless the inclusion stands in a GroupAction."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource,
        *,
        launch_arguments: Iterable[tuple[str, SomeText]] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.launch_description_source = launch_description_source
        self.launch_arguments = list(launch_arguments or ())

    def execute(self, context: LaunchContext) -> list[LaunchDescription]:
        description = self.launch_description_source.get_launch_description(context)
        for name, value in self.launch_arguments:
            context.launch_configurations[name] = text_of(context, value)
        return [description]
