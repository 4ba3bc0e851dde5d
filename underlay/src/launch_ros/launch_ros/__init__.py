"""Stand-in for `launch_ros`: nodes, namespaces and package shares in launch files.

`actions`, `substitutions` and `parameter_descriptions` are where the real package has them; what they lack raises.
"""


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(
        f"launch_ros here is a stand-in and has no `{name}`; import from launch_ros.actions, launch_ros.substitutions "
        "or launch_ros.parameter_descriptions"
    )
