"""`giga launch`: run one of the launch files, as `ros2 launch` does on a machine with ROS."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from launch.actions import DeclareLaunchArgument

SUMMARY = "run a launch file: a whole set of nodes, until Ctrl-C"
EXAMPLES = """  ./giga launch sim                                   the simulated cell with the whole stack
  ./giga launch sim scene:=pile seed:=7 gui:=true
  ./giga launch launch/perception.launch.py --show-args
"""

SUFFIX = ".launch.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a launch file, or the name of one in launch/ (sim, perception)")
    parser.add_argument("arguments", metavar="NAME:=VALUE", nargs="*", help="arguments of the launch file")
    parser.add_argument("--show-args", action="store_true", help="only list the launch file's arguments")


def run(args: argparse.Namespace) -> int:
    from launch.actions import IncludeLaunchDescription
    from launch.launch_context import LaunchContext
    from launch.launch_description import LaunchDescription
    from launch.launch_description_sources import InvalidLaunchFileError, PythonLaunchDescriptionSource
    from launch.launch_service import LaunchService

    path = _find(args.file)
    source = PythonLaunchDescriptionSource(str(path))
    try:
        declared = source.get_launch_description(LaunchContext()).get_launch_arguments()
    except InvalidLaunchFileError as error:
        raise UserError(str(error)) from None
    if args.show_args:
        print(_listing(path, declared))
        return 0
    given = _parse(args.arguments)
    _check(path, given, declared)
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given.items())])
    )
    return service.run()


def _find(name: str) -> Path:
    """The file itself, or the one of that name in the checkout's (or else the installed) launch folder."""
    if Path(name).is_file():
        return Path(name).resolve()
    folders = [Path(os.environ["GIGA_REPOSITORY"]) / "launch"] if "GIGA_REPOSITORY" in os.environ else []
    folders += [
        Path(prefix) / "share/giga_bringup/launch" for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    ]
    for folder in folders:
        path = folder / (name if name.endswith(SUFFIX) else name + SUFFIX)
        if path.is_file():
            return path
    known = sorted({path.name.removesuffix(SUFFIX) for folder in folders for path in folder.glob("*" + SUFFIX)})
    raise UserError(f"there is no launch file {name}; in launch/ are: {', '.join(known) or 'none'}")


def _parse(arguments: list[str]) -> dict[str, str]:
    given = {}
    for argument in arguments:
        name, separator, value = argument.partition(":=")
        if not separator or not name:
            raise UserError(f"'{argument}' is no launch argument: write NAME:=VALUE")
        given[name] = value
    return given


def _check(path: Path, given: dict[str, str], declared: list[DeclareLaunchArgument]) -> None:
    """Say at once what launch would say late, or, for an argument that nobody declares, never."""
    by_name = {argument.name: argument for argument in declared}
    for name, value in given.items():
        if name not in by_name:
            raise UserError(f"{path.name} has no argument '{name}'; it has {', '.join(by_name) or 'none'}")
        choices = by_name[name].choices
        if choices and value not in choices:
            raise UserError(f"argument {name} of {path.name} is '{value}'; it must be one of {', '.join(choices)}")
    missing = [name for name, argument in by_name.items() if name not in given and argument.default_value is None]
    if missing:
        raise UserError(f"{path.name} wants an argument {missing[0]}:=VALUE ({by_name[missing[0]].description})")


def _listing(path: Path, declared: list[DeclareLaunchArgument]) -> str:
    from launch.launch_context import LaunchContext

    lines = [f"Arguments of {path} (pass them as NAME:=VALUE):"]
    for argument in declared:
        lines += ["", f"    '{argument.name}':", f"        {argument.description}"]
        if argument.choices:
            lines.append(f"        one of: {', '.join(argument.choices)}")
        if argument.default_value is None:
            lines.append("        (required)")
        else:
            default = "".join(part.perform(LaunchContext()) for part in argument.default_value)
            lines.append(f"        (default: '{default}')")
    return "\n".join(lines)
