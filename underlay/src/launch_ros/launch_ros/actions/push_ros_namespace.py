"""`PushRosNamespace`: the namespace of every node that follows in the same group."""

from __future__ import annotations

from launch import Action, LaunchContext
from launch.conditions import Condition
from launch.substitution import SomeText, text_of

# The launch configuration that carries the namespace, named as in the real package.
NAMESPACE_CONFIGURATION = "ros_namespace"


class PushRosNamespace(Action):
    """An absolute namespace replaces the one so far, a relative one is added to it, an empty one changes nothing."""

    def __init__(self, namespace: SomeText, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._namespace = namespace

    def execute(self, context: LaunchContext) -> None:
        configurations = context.launch_configurations
        before = configurations.get(NAMESPACE_CONFIGURATION, "")
        configurations[NAMESPACE_CONFIGURATION] = joined_namespace(before, text_of(context, self._namespace))


def joined_namespace(base: str, namespace: str) -> str:
    """The absolute namespace of `namespace` seen from `base`; "" for the root."""
    whole = namespace if namespace.startswith("/") else f"{base}/{namespace}"
    parts = [part for part in whole.split("/") if part]
    return "/" + "/".join(parts) if parts else ""
