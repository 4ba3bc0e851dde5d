"""The stand-ins of launch and launch_ros, with small programs in place of nodes; the real package lookup."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from launch import LaunchContext, LaunchDescription, LaunchService, SubstitutionFailure
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition, InvalidConditionExpressionError, UnlessCondition
from launch.launch_description_sources import InvalidLaunchFileError, PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue, parameter_arguments
from launch_ros.substitutions import FindPackageShare

PROGRAMS = {
    # Prints its arguments and ends.
    "echo_node": "import json, sys\nprint('ARGV ' + json.dumps(sys.argv[1:]))\n",
    # Runs until SIGINT, then ends cleanly.
    "calm_node": "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
    "print('calm', flush=True)\nwhile True:\n    signal.pause()\n",
    # Counts its starts in the file given and dies.
    "dying_node": "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\nwith path.open('a') as f:\n    f.write('x')\n"
    "print('last words', file=sys.stderr)\nsys.exit(3)\n",
    # Leaves a child of its own behind and ends.
    "careless_node": "import subprocess, sys\nprint('CHILD', subprocess.Popen(['sleep', '300']).pid, flush=True)\n",
}


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An install prefix with one package, `toys`, found by the ament index."""
    prefix = tmp_path / "prefix"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/toys").write_text("")
    (prefix / "share/toys").mkdir()
    (prefix / "lib/toys").mkdir(parents=True)
    for name, source in PROGRAMS.items():
        program = prefix / "lib/toys" / name
        program.write_text(f"#!{sys.executable}\n{source}")
        program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    return prefix


def launch_file(folder: Path, body: str, name: str = "test.launch.py") -> Path:
    """A launch file whose description holds the actions of `body`."""
    path = folder / name
    path.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, LogInfo, Shutdown\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "from launch.substitutions import LaunchConfiguration, PathJoinSubstitution\n"
        "from launch_ros.actions import Node, PushRosNamespace\n"
        "from launch_ros.substitutions import FindPackageShare\n"
        f"def generate_launch_description():\n    return LaunchDescription([{body}])\n"
    )
    return path


def run_here(path: Path, capfd: pytest.CaptureFixture[str], **arguments: str) -> tuple[int, str]:
    """Run a launch file that ends by itself; its status and output."""
    service = LaunchService()
    source = PythonLaunchDescriptionSource(str(path))
    service.include_launch_description(
        LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments.items())])
    )
    status = service.run()
    return status, capfd.readouterr().out


def printed_arguments(output: str) -> list[list[str]]:
    return [json.loads(line.split("ARGV ", 1)[1]) for line in output.splitlines() if "ARGV " in line]


def test_a_node_gets_name_namespace_parameters_and_remappings(prefix: Path, capfd, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("/**:\n  ros__parameters:\n    a: 1\n")
    path = launch_file(
        tmp_path,
        "DeclareLaunchArgument('seed', default_value='7'),"
        "GroupAction([PushRosNamespace('left'), Node(package='toys', executable='echo_node', name='n', namespace='arm',"
        f" arguments=['--own'], ros_arguments=['--log-level', 'debug'], parameters=[{str(tmp_path / 'p.yaml')!r},"
        " {'seed': LaunchConfiguration('seed'), 'word': 'pile', 'inner': {'rate_hz': 2.0}, 'list': ['a', 'b']}],"
        " remappings=[('in', 'out')])]),"
        "Node(package='toys', executable='echo_node')",
    )
    status, output = run_here(path, capfd, seed="12")
    assert status == 0
    first, second = sorted(printed_arguments(output), key=len, reverse=True)
    assert first == [
        *["--own", "--ros-args", "--log-level", "debug", "-r", "__node:=n", "-r", "__ns:=/left/arm"],
        *["--params-file", str(tmp_path / "p.yaml"), "-p", "seed:=12", "-p", 'word:="pile"'],
        *["-p", "inner.rate_hz:=2.0", "-p", 'list:=["a", "b"]', "-r", "in:=out"],
    ]
    assert second == ["--ros-args"]  # the namespace ended with its group
    assert "[echo_node-1] ARGV" in output
    assert "[INFO] [echo_node-1]: process has finished cleanly" in output


def test_inclusion_passes_arguments_and_conditions_choose(prefix: Path, capfd, tmp_path: Path) -> None:
    launch_file(
        prefix / "share/toys",
        "DeclareLaunchArgument('gui', default_value='false', choices=['true', 'false']),"
        "LogInfo(msg=['gui is ', LaunchConfiguration('gui')])",
        "inner.launch.py",
    )
    path = launch_file(
        tmp_path,
        "IncludeLaunchDescription(PythonLaunchDescriptionSource(PathJoinSubstitution("
        "[FindPackageShare('toys'), 'inner.launch.py'])), launch_arguments={'gui': 'true'}.items())",
    )
    assert run_here(path, capfd) == (0, "[INFO] [launch.user]: gui is true\n")

    context = LaunchContext()
    context.launch_configurations["gui"] = "True"
    assert IfCondition(LaunchConfiguration("gui")).evaluate(context)
    assert not UnlessCondition(LaunchConfiguration("gui")).evaluate(context)
    context.launch_configurations["gui"] = "maybe"
    with pytest.raises(InvalidConditionExpressionError, match="'maybe'"):
        IfCondition(LaunchConfiguration("gui")).evaluate(context)


def test_arguments_are_listed_through_inclusions(prefix: Path, tmp_path: Path) -> None:
    launch_file(prefix / "share/toys", "DeclareLaunchArgument('inner', description='deep')", "inner.launch.py")
    path = launch_file(
        tmp_path,
        "DeclareLaunchArgument('outer', default_value='1'), GroupAction([IncludeLaunchDescription("
        "PythonLaunchDescriptionSource([FindPackageShare('toys'), '/inner.launch.py']))])",
    )
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())
    found = description.get_launch_arguments()
    assert [(each.name, each.description) for each in found] == [("outer", "no description given"), ("inner", "deep")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("DeclareLaunchArgument('robot_ip', description='its address')", "'robot_ip' (its address) was not provided"),
        ("DeclareLaunchArgument('scene', default_value='x', choices=['pile'])", "'x'; it must be one of pile"),
        ("LogInfo(msg=LaunchConfiguration('nope'))", "launch configuration 'nope' does not exist"),
        ("Node(package='toys', executable='nope')", "executable 'nope' not found in"),
        ("Node(package='nope', executable='x')", "package 'nope' is not installed"),
        ("Node(package='toys', executable='echo_node', parameters=['/nope.yaml'])", "no parameter file /nope.yaml"),
    ],
)
def test_an_error_is_one_sentence_and_ends_what_runs(
    prefix: Path, capfd, tmp_path: Path, body: str, words: str
) -> None:
    status, output = run_here(launch_file(tmp_path, f"Node(package='toys', executable='calm_node'), {body}"), capfd)
    assert status == 1
    assert words in output
    # What the toy says when it is interrupted while it still starts is its own affair.
    assert not any("Traceback" in line for line in output.splitlines() if not line.startswith("[calm_node-1]"))


def test_on_exit_shutdown_ends_the_others(prefix: Path, capfd, tmp_path: Path) -> None:
    path = launch_file(
        tmp_path,
        "Node(package='toys', executable='calm_node'),"
        f"Node(package='toys', executable='dying_node', arguments=[{str(tmp_path / 'starts')!r}],"
        " on_exit=Shutdown(reason='it died'))",
    )
    status, output = run_here(path, capfd)
    assert status == 0
    assert "[dying_node-2] last words" in output
    assert "[ERROR] [dying_node-2]: process has died [pid" in output
    assert "exit code 3" in output
    assert "shutting down: it died" in output


def test_respawn_starts_again_until_the_end(prefix: Path, start_process, wait_for, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    handle = start_launch(
        start_process,
        launch_file(
            tmp_path,
            f"Node(package='toys', executable='dying_node', arguments=[{str(starts)!r}], respawn=True,"
            " respawn_delay=0.05)",
        ),
    )
    wait_for(lambda: starts.exists() and len(starts.read_text()) >= 3, 20.0, "three starts of a node that respawns")
    assert handle.stop(signal.SIGINT) == 0


def start_launch(start_process, path: Path):
    """Run a launch file in a process of its own."""
    code = (
        "import sys; from launch import *; from launch.launch_description_sources import *\n"
        "service = LaunchService()\n"
        "source = PythonLaunchDescriptionSource(sys.argv[1])\n"
        "service.include_launch_description(source.get_launch_description(service.context))\n"
        "sys.exit(service.run())"
    )
    return start_process([sys.executable, "-c", code, str(path)], "launch")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def started_pid(handle) -> int:
    return int(handle.output().split("process started with pid [")[1].split("]")[0])


def test_ctrl_c_ends_all_cleanly(prefix: Path, start_process, wait_for, tmp_path: Path) -> None:
    handle = start_launch(start_process, launch_file(tmp_path, "Node(package='toys', executable='calm_node')"))
    wait_for(lambda: "[calm_node-1] calm" in handle.output(), 20.0, "the node to run")
    pid = started_pid(handle)
    os.kill(handle.process.pid, signal.SIGINT)
    assert handle.process.wait(20) == 0
    assert "process has finished cleanly" in handle.output()
    assert not alive(pid)


def test_no_child_outlives_a_killed_launcher(prefix: Path, start_process, wait_for, tmp_path: Path) -> None:
    handle = start_launch(start_process, launch_file(tmp_path, "Node(package='toys', executable='calm_node')"))
    wait_for(lambda: "[calm_node-1] calm" in handle.output(), 20.0, "the node to run")
    pid = started_pid(handle)
    os.kill(handle.process.pid, signal.SIGKILL)
    handle.process.wait(20)
    wait_for(lambda: not alive(pid), 10.0, "the node to die with its launcher")


def test_what_a_node_leaves_behind_is_ended(prefix: Path, capfd, tmp_path: Path, wait_for) -> None:
    status, output = run_here(launch_file(tmp_path, "Node(package='toys', executable='careless_node')"), capfd)
    assert status == 0
    pid = int(output.split("CHILD ")[1].split()[0])
    wait_for(lambda: not alive(pid), 10.0, "the node's own child to die")


def test_parameter_types() -> None:
    context = LaunchContext()
    context.launch_configurations["rate"] = "2"
    rate = LaunchConfiguration("rate")
    assert parameter_arguments(context, [{"a": rate}]) == ["-p", "a:=2"]
    assert parameter_arguments(context, [{"a": "2"}]) == ["-p", 'a:="2"']
    assert parameter_arguments(context, [{"a": ParameterValue(rate, value_type=float)}]) == ["-p", "a:=2.0"]
    assert parameter_arguments(context, [{"a": ParameterValue(rate, value_type=str)}]) == ["-p", 'a:="2"']
    assert parameter_arguments(context, [{"a": True, "b": [1, 2]}]) == ["-p", "a:=true", "-p", "b:=[1, 2]"]
    with pytest.raises(TypeError, match="parameter 'a' is '2'; it must be a value of type bool"):
        parameter_arguments(context, [{"a": ParameterValue(rate, value_type=bool)}])
    with pytest.raises(TypeError, match="no value that a node's parameter can have"):
        parameter_arguments(context, [{"a": object()}])


def test_what_is_no_launch_file_is_named(tmp_path: Path) -> None:
    for content, words in (("def broken(:\n", "is not a Python launch file"), ("x = 1\n", "has no function")):
        (tmp_path / "bad.launch.py").write_text(content)
        with pytest.raises(InvalidLaunchFileError, match=words):
            PythonLaunchDescriptionSource(str(tmp_path / "bad.launch.py")).get_launch_description(LaunchContext())
    with pytest.raises(InvalidLaunchFileError, match="there is no launch file"):
        PythonLaunchDescriptionSource(str(tmp_path / "absent.launch.py")).get_launch_description(LaunchContext())


def test_is_loud_about_what_it_lacks(prefix: Path) -> None:
    for statement in (
        "from launch.actions import OpaqueFunction",
        "from launch.substitutions import Command",
        "from launch_ros.actions import ComposableNodeContainer",
        "from launch_ros.substitutions import FindPackagePrefix",
        "from launch_ros.parameter_descriptions import ParameterFile",
    ):
        with pytest.raises(ImportError, match="stand-in"):
            exec(statement)
    with pytest.raises(TypeError):
        Node(package="toys", executable="echo_node", unknown=1)  # type: ignore[call-arg]
    with pytest.raises(NotImplementedError, match="on_exit"):
        Node(package="toys", executable="echo_node", on_exit=lambda event, context: None)  # type: ignore[arg-type]
    with pytest.raises(SubstitutionFailure, match="'nope' is not installed"):
        PathJoinSubstitution([FindPackageShare("nope")]).perform(LaunchContext())


def test_a_scoped_group_forgets_what_it_set(prefix: Path) -> None:
    context = LaunchContext()
    GroupAction([DeclareLaunchArgument("inside", default_value="1")]).visit(context)
    assert context.launch_configurations == {}
    GroupAction([DeclareLaunchArgument("inside", default_value="1")], scoped=False).visit(context)
    assert context.launch_configurations == {"inside": "1"}
