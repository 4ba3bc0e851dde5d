"""Stand-in for `launch`: runs Python launch files that use the subset of its API named here and in the submodules.

The names, signatures and behaviour of the real package for the calls that this stack makes; anything else raises.
`actions`, `conditions`, `substitutions` and `launch_description_sources` are where the real package has them.
"""

from launch.action import Action
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_service import LaunchService
from launch.substitution import Substitution, SubstitutionFailure

__all__ = ["Action", "LaunchContext", "LaunchDescription", "LaunchService", "Substitution", "SubstitutionFailure"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch here is a stand-in and has no `{name}`; it offers {', '.join(__all__)}")
