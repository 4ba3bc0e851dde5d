"""The substitutions of this stand-in."""

from launch_ros.substitutions.find_package import FindPackageShare

__all__ = ["FindPackageShare"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch_ros here is a stand-in: of substitutions it has {', '.join(__all__)}, not `{name}`")
