"""The whole stack on a simulated cell: the mock Panda, detection, planning, execution and the stop.

    giga launch sim scene:=packed seed:=3          (or: ros2 launch giga_bringup sim.launch.py scene:=packed seed:=3)

What can be set lies in config/: cell.yaml and robots/panda.yaml describe the cell and the arm, the other files hold the
nodes' parameters. The arguments below go over those files.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("giga_bringup")

ARGUMENTS = [
    DeclareLaunchArgument(
        "scene",
        default_value="packed",
        choices=["packed", "pile"],
        description="objects standing apart, or in a heap",
    ),
    DeclareLaunchArgument(
        "object_set", default_value="parametric", description="name of an object set, or a folder of URDF files"
    ),
    DeclareLaunchArgument("objects", default_value="5", description="how many objects stand there at the start"),
    DeclareLaunchArgument("seed", default_value="1", description="scene and camera noise repeat with it"),
    DeclareLaunchArgument("model", default_value="", description="path of a model file; empty = the shipped weights"),
    DeclareLaunchArgument(
        "gui", default_value="false", choices=["true", "false"], description="open the simulator's window"
    ),
    DeclareLaunchArgument(
        "lockstep",
        default_value="true",
        choices=["true", "false"],
        description="simulated time advances only while something moves, so that a seed repeats exactly",
    ),
    DeclareLaunchArgument(
        "real_time_factor_limit",
        default_value="0.0",
        description="in lockstep: at most this many simulated seconds a second; 0 = as fast as the machine can",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace of every node; empty = the root"),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error"],
        description="how much the nodes say",
    ),
]


def config(*path: str) -> PathJoinSubstitution:
    """A file of config/ as it is installed."""
    return PathJoinSubstitution([SHARE, "config", *path])


def argument(name: str, value_type: type) -> ParameterValue:
    """A launch argument as a parameter of fixed type: "2" for a number with decimals is 2.0."""
    return ParameterValue(LaunchConfiguration(name), value_type=value_type)


def node(package: str, executable: str, *parameters: object, **more: object) -> Node:
    """A node of this stack: named as its executable, on simulated time, knowing the cell and the robot."""
    cell = {
        "use_sim_time": True,
        "cell_file": ParameterValue(config("cell.yaml"), value_type=str),
        "robot_file": ParameterValue(config("robots", "panda.yaml"), value_type=str),
    }
    return Node(
        package=package,
        executable=executable,
        name=executable,
        output="screen",
        parameters=[cell, *parameters],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        **more,
    )


def generate_launch_description() -> LaunchDescription:
    scene = {
        "scene": argument("scene", str),
        "object_set": argument("object_set", str),
        "object_count": argument("objects", int),
        "seed": argument("seed", int),
        "gui": argument("gui", bool),
        "lockstep": argument("lockstep", bool),
        "real_time_factor_limit": argument("real_time_factor_limit", float),
    }
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, "launch", "perception.launch.py"])),
        launch_arguments={
            "model": LaunchConfiguration("model"),
            "use_sim_time": "true",
            "namespace": "",  # the group below has set it
            "log_level": LaunchConfiguration("log_level"),
        }.items(),
    )
    nodes = [
        PushRosNamespace(LaunchConfiguration("namespace")),
        # Without the simulator there is neither clock nor camera nor arm, so its end is the end of all.
        node("giga_sim", "sim_node", config("sim.yaml"), scene, on_exit=Shutdown(reason="sim_node has ended")),
        node("giga_grasping", "embedded_planner_node", config("planner.yaml")),
        node("giga_grasping", "executor_node", config("executor.yaml")),
        node("giga_grasping", "safety_node"),
        GroupAction([perception]),
    ]
    return LaunchDescription([*ARGUMENTS, GroupAction(nodes)])
