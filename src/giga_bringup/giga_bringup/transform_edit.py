"""A corrected transform put into the file that holds it: which lines change, and to what. Everything else stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from scipy.spatial.transform import RigidTransform

WORKSPACE_KEY = "T_base_workspace"


@dataclass(frozen=True)
class LineChange:
    """One line of a file, counted from 1: what it says, and what it should say."""

    line: int
    before: str
    after: str


@dataclass(frozen=True)
class FileChange:
    """A file's new content, and the lines that differ."""

    path: Path
    content: str
    lines: tuple[LineChange, ...]

    def write(self) -> None:
        """Write the file whole, or not at all. Raises UserError when it cannot be written."""
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            temporary.write_text(self.content, encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def sentences(self) -> list[str]:
        """Each change as `FILE:LINE`, the old line, and the new one."""
        return [f"{self.path}:{each.line}\n  - {each.before}\n  + {each.after}" for each in self.lines]


def translation_words(transform: RigidTransform) -> list[str]:
    """x, y, z in metres, to a hundredth of a millimetre."""
    return [_word(value, 5) for value in transform.translation.tolist()]


def quaternion_words(transform: RigidTransform) -> list[str]:
    """qx, qy, qz, qw."""
    return [_word(value, 7) for value in transform.rotation.as_quat(canonical=True).tolist()]


def cell_change(path: Path, T_base_workspace: RigidTransform) -> FileChange:
    """The cell file with this `T_base_workspace`, comments and all else kept.

    Raises UserError when the file cannot be read, or its transform is not written as two lists of one line each.
    """
    content = _read(path)
    lines = content.splitlines(keepends=True)
    changes = []
    for key, words in (
        ("translation_m", translation_words(T_base_workspace)),
        ("rotation_xyzw", quaternion_words(T_base_workspace)),
    ):
        value = _value_node(path, content, (WORKSPACE_KEY, key))
        start, end = value.start_mark, value.end_mark
        if not isinstance(value, yaml.SequenceNode) or not value.flow_style or start.line != end.line:
            raise UserError(
                f"{path}:{start.line + 1}: write {key} as a list on one line, [x, y, ...], to have it changed"
            )
        before = lines[start.line]
        after = f"{before[: start.column]}[{', '.join(words)}]{before[end.column :]}"
        lines[start.line] = after
        changes.append(LineChange(start.line + 1, before.strip(), after.strip()))
    return FileChange(path, "".join(lines), tuple(changes))


def extrinsics_change(path: Path, T_camera_workspace: RigidTransform) -> FileChange:
    """The extrinsics file (JSON) with this pose, the way round that it had; the file's other entries are kept.

    Raises UserError when the file cannot be read.
    """
    before = _read(path)
    try:
        content = json.loads(before)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    key = (
        "T_workspace_camera" if isinstance(content, dict) and "T_workspace_camera" in content else "T_camera_workspace"
    )
    if not isinstance(content, dict) or key not in content:
        raise UserError(f"{path}: holds neither T_camera_workspace nor T_workspace_camera: name the extrinsics' file")
    content[key] = transform_record(T_camera_workspace.inv() if key == "T_workspace_camera" else T_camera_workspace)
    # One entry a line, so that the line of the transform can be named.
    entries = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    after = "{\n" + ",\n".join(entries) + "\n}\n"
    line = next(number for number, text in enumerate(before.splitlines(), start=1) if f'"{key}"' in text)
    old = json.dumps({key: json.loads(before)[key]})
    return FileChange(path, after, (LineChange(line, old, json.dumps({key: content[key]})),))


def transform_record(transform: RigidTransform) -> dict[str, list[float]]:
    """The transform as extrinsics files and `config/` have it."""
    return {
        "translation_m": [float(word) for word in translation_words(transform)],
        "rotation_xyzw": [float(word) for word in quaternion_words(transform)],
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def _value_node(path: Path, content: str, keys: Sequence[str]) -> yaml.Node:
    """The value under these nested keys, with its place in the text."""
    try:
        node: Any = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
        if node is None:
            raise UserError(
                f"{path}: has no {'.'.join(keys)}: name the file that describes the cell, as config/cell.yaml"
            )
    return node


def _word(value: float, decimals: int) -> str:
    # Never as 1e-05, which YAML takes for a text.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
