"""`LaunchDescription`: what a launch file returns, a list of actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.action import Action
from launch.launch_context import LaunchContext
from launch.substitution import SubstitutionFailure

if TYPE_CHECKING:
    from launch.actions.declare_launch_argument import DeclareLaunchArgument


class LaunchDescription:
    """Actions, carried out in order."""

    def __init__(self, initial_entities: Iterable[Action | LaunchDescription] | None = None) -> None:
        self.entities = list(initial_entities or ())

    def add_action(self, action: Action) -> None:
        """Append one."""
        self.entities.append(action)

    def visit(self, context: LaunchContext) -> None:
        """Carry out every action."""
        for entity in self.entities:
            entity.visit(context)

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        """The arguments declared here and in what is included, each name once, in order."""
        found: dict[str, DeclareLaunchArgument] = {}
        _collect_arguments(self.entities, found)
        return list(found.values())


def _collect_arguments(entities: Iterable[Action | LaunchDescription], found: dict[str, DeclareLaunchArgument]) -> None:
    from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription

    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            found.setdefault(entity.name, entity)
        elif isinstance(entity, LaunchDescription):
            _collect_arguments(entity.entities, found)
        elif isinstance(entity, GroupAction):
            _collect_arguments(entity.actions, found)
        elif isinstance(entity, IncludeLaunchDescription):
            try:
                included = entity.launch_description_source.get_launch_description(LaunchContext())
            except SubstitutionFailure:
                continue  # which file it is depends on an argument, as in the real package its own stay unlisted
            _collect_arguments(included.entities, found)
