"""Parameters of a node: dictionaries, YAML files, and values whose type must be fixed (`ParameterValue`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from launch import LaunchContext, Substitution
from launch.substitution import SomeText, text_of

# A file (text or a substitution), or names with values; a value may be a dictionary of further names.
Parameters: TypeAlias = SomeText | Mapping[str, Any]


class ParameterValue:
    """A value that is to have `value_type` (bool, int, float, str) whatever its text looks like."""

    def __init__(self, value: Any, *, value_type: type | None = None) -> None:
        if value_type not in (None, bool, int, float, str):
            raise NotImplementedError(f"value_type={value_type} is not in this stand-in of launch_ros")
        self.value = value
        self.value_type = value_type


def parameter_arguments(context: LaunchContext, parameters: list[Parameters]) -> list[str]:
    """The ROS arguments that give these parameters, in order. Raises FileNotFoundError for a missing file."""
    arguments: list[str] = []
    for each in parameters:
        if isinstance(each, Mapping):
            for name, value in _flattened(each):
                # JSON is YAML with the types spelled out, which is what rcl reads here.
                arguments += ["-p", f"{name}:={json.dumps(_evaluated(context, name, value))}"]
            continue
        path = Path(text_of(context, each))
        if not path.is_file():
            raise FileNotFoundError(f"there is no parameter file {path}")
        arguments += ["--params-file", str(path)]
    return arguments


def _flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        flat += _flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return flat


def _evaluated(context: LaunchContext, name: str, value: Any) -> Any:
    """The value itself; a substitution's text is read as YAML, unless ParameterValue says that it is text."""
    if isinstance(value, ParameterValue):
        if value.value_type is None:
            return _evaluated(context, name, value.value)
        given = text_of(context, value.value) if value.value_type is str else _evaluated(context, name, value.value)
        return _typed(name, given, value.value_type)
    if isinstance(value, Substitution):
        found = yaml.safe_load(text_of(context, value))
        return "" if found is None else found
    if isinstance(value, bool | int | float | str) or (
        isinstance(value, list | tuple) and all(isinstance(item, bool | int | float | str) for item in value)
    ):
        return value
    raise TypeError(f"parameter '{name}' is given as {value!r}, which is no value that a node's parameter can have")


def _typed(name: str, value: Any, value_type: type) -> Any:
    fits = isinstance(value, value_type) and not (value_type is int and isinstance(value, bool))
    if value_type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not fits:
        raise TypeError(f"parameter '{name}' is '{value}'; it must be a value of type {value_type.__name__}")
    return value


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch_ros here is a stand-in: parameter_descriptions has ParameterValue, not `{name}`")
