"""`Node`: a process that runs one ROS node."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from launch import Action, LaunchContext, SubstitutionFailure
from launch.conditions import Condition, IfCondition
from launch.running_process import ProcessToRun
from launch.substitution import SomeText, text_of
from launch_ros.actions.push_ros_namespace import NAMESPACE_CONFIGURATION, joined_namespace
from launch_ros.parameter_descriptions import Parameters, parameter_arguments
from launch_ros.substitutions.find_package import find_package_prefix

OUTPUTS = ("screen", "both")


class Node(Action):
    """Runs `<prefix of package>/lib/<package>/<executable>` with the node's name, namespace, parameters and remappings.

    Everything that it prints goes to the launcher's output (the real default also writes log files).
    """

    def __init__(
        self,
        *,
        package: SomeText,
        executable: SomeText,
        name: SomeText | None = None,
        namespace: SomeText = "",
        parameters: Sequence[Parameters] | None = None,
        remappings: Iterable[tuple[SomeText, SomeText]] | None = None,
        arguments: Iterable[SomeText] | None = None,
        ros_arguments: Iterable[SomeText] | None = None,
        additional_env: Mapping[str, SomeText] | None = None,
        output: str = "screen",
        respawn: bool | SomeText = False,
        respawn_delay: float = 0.0,
        on_exit: Action | Sequence[Action] = (),
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if output not in OUTPUTS:
            raise NotImplementedError(f"output='{output}' is not in this stand-in of launch_ros: only {OUTPUTS} are")
        self._package = package
        self._executable = executable
        self._name = name
        self._namespace = namespace
        self._parameters = list(parameters or ())
        self._remappings = list(remappings or ())
        self._arguments = list(arguments or ())
        self._ros_arguments = list(ros_arguments or ())
        self._additional_env = dict(additional_env or {})
        self._respawn = respawn
        self._respawn_delay = respawn_delay
        self._on_exit = _as_list(on_exit)

    def execute(self, context: LaunchContext) -> None:
        executable = text_of(context, self._executable)
        path = _executable_path(text_of(context, self._package), executable)
        respawn = self._respawn if isinstance(self._respawn, bool) else IfCondition(self._respawn).evaluate(context)
        context.service.start(
            ProcessToRun(
                label=context.service.unique_label(executable),
                command=(str(path), *self._command_arguments(context)),
                additional_env={key: text_of(context, value) for key, value in self._additional_env.items()},
                respawn=respawn,
                respawn_delay_s=self._respawn_delay,
                on_exit=self._on_exit,
            )
        )

    def _command_arguments(self, context: LaunchContext) -> list[str]:
        """The node's own arguments, then ROS's: name and namespace, parameters (later ones win), remappings."""
        arguments = [text_of(context, argument) for argument in self._arguments]
        arguments += ["--ros-args", *(text_of(context, argument) for argument in self._ros_arguments)]
        if self._name is not None:
            arguments += ["-r", f"__node:={text_of(context, self._name)}"]
        base = context.launch_configurations.get(NAMESPACE_CONFIGURATION, "")
        namespace = joined_namespace(base, text_of(context, self._namespace))
        if namespace:
            arguments += ["-r", f"__ns:={namespace}"]
        arguments += parameter_arguments(context, self._parameters)
        for original, replacement in self._remappings:
            arguments += ["-r", f"{text_of(context, original)}:={text_of(context, replacement)}"]
        return arguments


def _executable_path(package: str, executable: str) -> Path:
    folder = find_package_prefix(package) / "lib" / package
    path = folder / executable
    if not os.access(path, os.X_OK):
        raise SubstitutionFailure(f"executable '{executable}' not found in {folder}: is package '{package}' built?")
    return path


def _as_list(on_exit: Action | Sequence[Action]) -> list[Action]:
    if callable(on_exit):
        raise NotImplementedError(
            "on_exit of this stand-in of launch_ros takes actions, such as Shutdown(), no functions"
        )
    return [on_exit] if isinstance(on_exit, Action) else list(on_exit)
