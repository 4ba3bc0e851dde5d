"""`LaunchConfiguration`: the value of a launch argument."""

from __future__ import annotations

from launch.launch_context import LaunchContext
from launch.substitution import SomeText, Substitution, SubstitutionFailure, text_of


class LaunchConfiguration(Substitution):
    """The value of the argument `variable_name`; `default` when it was never set."""

    def __init__(self, variable_name: SomeText, *, default: SomeText | None = None) -> None:
        self._name = variable_name
        self._default = default

    def perform(self, context: LaunchContext) -> str:
        name = text_of(context, self._name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist: the launch file declares none")
        return text_of(context, self._default)
