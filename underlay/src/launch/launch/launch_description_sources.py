"""`PythonLaunchDescriptionSource`: a launch file written in Python."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path

from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitution import SomeText, text_of


class InvalidLaunchFileError(Exception):
    """A file that is not a launch file; the message names it and says why."""


class PythonLaunchDescriptionSource:
    """The description that a Python file's `generate_launch_description()` returns; the path may be a substitution."""

    def __init__(self, launch_file_path: SomeText) -> None:
        self._path = launch_file_path

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Load the file. Raises InvalidLaunchFileError, or what the file's own code raises."""
        path = Path(text_of(context, self._path))
        if not path.is_file():
            raise InvalidLaunchFileError(f"there is no launch file {path}")
        loader = SourceFileLoader("launch_file_" + path.name.partition(".")[0], str(path))
        spec = importlib.util.spec_from_loader(loader.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        try:
            loader.exec_module(module)
        except SyntaxError as error:
            raise InvalidLaunchFileError(f"{path} is not a Python launch file: {error}") from None
        if not hasattr(module, "generate_launch_description"):
            raise InvalidLaunchFileError(f"{path} has no function generate_launch_description()")
        return module.generate_launch_description()


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch here is a stand-in: of launch_description_sources it has the Python one, not `{name}`")
