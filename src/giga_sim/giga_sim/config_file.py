"""Reading of the YAML files that people edit: every field is checked once, here, and errors are sentences.

A `ConfigSection` is one mapping of such a file together with where it stands, so that an error can name the file and
the full path of the field ("config/cell.yaml: camera.width must be a whole number above 0, not 'wide'").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import RigidTransform, Rotation


class ConfigFileError(ValueError):
    """A configuration file is missing or says something that cannot be used; the message is for the user."""


@dataclass(frozen=True)
class ConfigSection:
    """One mapping of a configuration file; `location` is its path of keys, empty for the top level."""

    file: Path
    location: str
    fields: dict[str, Any]

    def error(self, name: str, complaint: str) -> ConfigFileError:
        """The error that says what is wrong with the field `name` of this section."""
        return ConfigFileError(f"{self.file}: {self._path(name)} {complaint}")

    def section(self, name: str) -> ConfigSection:
        """The mapping under `name`."""
        value = self._value(name)
        if not isinstance(value, dict):
            raise self.error(name, f"must be a mapping of names to values, not {value!r}")
        return ConfigSection(self.file, self._path(name), value)

    def number(self, name: str, *, positive: bool = False) -> float:
        """The number under `name`."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise self.error(name, f"must be a number, not {value!r}")
        if positive and value <= 0:
            raise self.error(name, f"must be above 0, not {value!r}")
        return float(value)

    def count(self, name: str) -> int:
        """The whole number above 0 under `name`."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise self.error(name, f"must be a whole number above 0, not {value!r}")
        return value

    def vector(self, name: str, length: int, *, positive: bool = False) -> tuple[float, ...]:
        """The `length` numbers under `name`."""
        value = self._value(name)
        is_number_list = isinstance(value, list) and all(
            isinstance(item, (int, float)) and not isinstance(item, bool) and np.isfinite(item) for item in value
        )
        if not is_number_list or len(value) != length:
            raise self.error(name, f"must be a list of {length} numbers, not {value!r}")
        if positive and min(value) <= 0:
            raise self.error(name, f"must hold numbers above 0 only, not {value!r}")
        return tuple(float(item) for item in value)

    def text(self, name: str) -> str:
        """The non-empty text under `name`."""
        value = self._value(name)
        if not isinstance(value, str) or not value:
            raise self.error(name, f"must be a text, not {value!r}")
        return value

    def texts(self, name: str, length: int) -> tuple[str, ...]:
        """The `length` different non-empty texts under `name`."""
        value = self._value(name)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.error(name, f"must be a list of names, not {value!r}")
        if len(value) != length or len(set(value)) != length:
            raise self.error(name, f"must be a list of {length} different names, not {value!r}")
        return tuple(value)

    def transform(self, name: str) -> RigidTransform:
        """The transform under `name`: `translation_m` [3] and `rotation_xyzw` [4], normalised here."""
        section = self if not name else self.section(name)
        quaternion = np.array(section.vector("rotation_xyzw", 4))
        norm = float(np.linalg.norm(quaternion))
        if abs(norm - 1.0) > 1e-2:
            raise section.error("rotation_xyzw", f"must be a unit quaternion (its length is {norm:.3f})")
        translation = np.array(section.vector("translation_m", 3))
        return RigidTransform.from_components(translation, Rotation.from_quat(quaternion))

    def _value(self, name: str) -> Any:
        if name not in self.fields:
            raise self.error(name, "is missing")
        return self.fields[name]

    def _path(self, name: str) -> str:
        return f"{self.location}.{name}" if self.location else name


def read_config(path: Path) -> ConfigSection:
    """The top level of the YAML file at `path`.

    Raises ConfigFileError when the file is missing, is no YAML, or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be read ({error.strerror}); give the path of an existing file") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigFileError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigFileError(f"{path} holds no mapping of names to values at its top level")
    return ConfigSection(path, "", content)
