"""The actions of this stand-in."""

from launch.actions.declare_launch_argument import DeclareLaunchArgument
from launch.actions.group_action import GroupAction
from launch.actions.include_launch_description import IncludeLaunchDescription
from launch.actions.log_info import LogInfo
from launch.actions.shutdown_action import Shutdown

__all__ = ["DeclareLaunchArgument", "GroupAction", "IncludeLaunchDescription", "LogInfo", "Shutdown"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch here is a stand-in: of actions it has {', '.join(__all__)}, not `{name}`")
