"""The actions of this stand-in."""

from launch_ros.actions.node import Node
from launch_ros.actions.push_ros_namespace import PushRosNamespace

__all__ = ["Node", "PushRosNamespace"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch_ros here is a stand-in: of actions it has {', '.join(__all__)}, not `{name}`")
