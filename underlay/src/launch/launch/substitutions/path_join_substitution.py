"""`PathJoinSubstitution`: a path from its parts."""

from __future__ import annotations

import os
from collections.abc import Iterable

from launch.launch_context import LaunchContext
from launch.substitution import SomeText, Substitution, text_of


class PathJoinSubstitution(Substitution):
    """The parts joined with the system's separator."""

    def __init__(self, substitutions: Iterable[SomeText]) -> None:
        self._parts = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(text_of(context, part) for part in self._parts))
