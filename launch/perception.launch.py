"""Grasp detection alone: perception_node on whatever camera publishes the topics named in config/perception.yaml.

giga launch perception                         (or: ros2 launch giga_bringup perception.launch.py)
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("giga_bringup"), "config"])

ARGUMENTS = [
    DeclareLaunchArgument("model", default_value="", description="path of a model file; empty = the shipped weights"),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="take the time from /clock, as with a simulation or a recording",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace of the node; empty = the root"),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error"],
        description="how much the node says",
    ),
]


def generate_launch_description() -> LaunchDescription:
    perception = Node(
        package="giga_perception",
        executable="perception_node",
        name="perception_node",
        output="screen",
        parameters=[
            PathJoinSubstitution([CONFIG, "perception.yaml"]),
            {
                "model": ParameterValue(LaunchConfiguration("model"), value_type=str),
                "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
            },
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
    )
    return LaunchDescription(
        [*ARGUMENTS, GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), perception])]
    )
