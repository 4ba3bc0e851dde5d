"""`LaunchContext`: the launch configurations as they stand, and the service that runs the processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.substitution import Substitution

if TYPE_CHECKING:
    from launch.launch_service import LaunchService


class LaunchContext:
    """What actions and substitutions work on."""

    def __init__(self, service: LaunchService | None = None) -> None:
        self.launch_configurations: dict[str, str] = {}
        self._scopes: list[dict[str, str]] = []
        self._service = service

    @property
    def service(self) -> LaunchService:
        """The running launch service. Raises RuntimeError in a context that only reads a description."""
        if self._service is None:
            raise RuntimeError("this context belongs to no LaunchService, so nothing can be started in it")
        return self._service

    def perform_substitution(self, sub: Substitution) -> str:
        """The text of a substitution."""
        return sub.perform(self)

    def push_launch_configurations(self) -> None:
        """Begin a scope: what is set from here on is forgotten when it ends."""
        self._scopes.append(dict(self.launch_configurations))

    def pop_launch_configurations(self) -> None:
        """End the scope."""
        self.launch_configurations = self._scopes.pop()
