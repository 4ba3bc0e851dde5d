"""The substitutions of this stand-in."""

from launch.substitutions.launch_configuration import LaunchConfiguration
from launch.substitutions.path_join_substitution import PathJoinSubstitution

__all__ = ["LaunchConfiguration", "PathJoinSubstitution"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch here is a stand-in: of substitutions it has {', '.join(__all__)}, not `{name}`")
