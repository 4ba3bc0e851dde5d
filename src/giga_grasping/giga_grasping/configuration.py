"""Reading configuration files: where they lie, and typed fields with sentences for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation


class ConfigurationError(ValueError):
    """A configuration file is missing or holds something it should not; the message is for a person."""


def find_configuration(relative_path: str) -> Path:
    """Path of a file of `config/`, e.g. "robots/panda.yaml": in the checkout, else where giga_bringup is installed.

    Raises:
        ConfigurationError: it is in neither place.
    """
    checkout = Path(__file__).resolve().parents[3] / "config" / relative_path
    if checkout.is_file():
        return checkout
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        installed = Path(get_package_share_directory("giga_bringup")) / "config" / relative_path
    except PackageNotFoundError as error:
        raise ConfigurationError(
            f"config/{relative_path} was not found: neither {checkout} nor an installed giga_bringup exists."
        ) from error
    if not installed.is_file():
        raise ConfigurationError(f"config/{relative_path} was not found: neither {checkout} nor {installed} exists.")
    return installed


def section(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping under `name`."""
    value = content.get(name)
    if not isinstance(value, dict):
        raise ConfigurationError(f"section '{name}' is missing.")
    return value


def number(content: dict[str, Any], name: str) -> float:
    """The finite number under `name`."""
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ConfigurationError(f"'{name}' is missing or not a number.")
    return float(value)


def numbers(content: dict[str, Any], name: str, count: int) -> NDArray[np.float64]:
    """The list of exactly `count` finite numbers under `name`."""
    value = content.get(name)
    if not isinstance(value, list) or len(value) != count:
        raise ConfigurationError(f"'{name}' should be a list of {count} numbers.")
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"'{name}' holds something that is not a number.") from error
    if not np.all(np.isfinite(array)):
        raise ConfigurationError(f"'{name}' holds a number that is not finite.")
    array.flags.writeable = False
    return array


def strings(content: dict[str, Any], name: str) -> tuple[str, ...]:
    """The non-empty list of names under `name`."""
    value = content.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ConfigurationError(f"'{name}' should be a list of names.")
    return tuple(value)


def rigid_transform(content: dict[str, Any]) -> RigidTransform:
    """The transform under `translation_m` and `rotation_xyzw`."""
    rotation = numbers(content, "rotation_xyzw", 4)
    if abs(float(np.linalg.norm(rotation)) - 1.0) > 1e-3:
        raise ConfigurationError("'rotation_xyzw' is not a unit quaternion.")
    return RigidTransform.from_components(numbers(content, "translation_m", 3), Rotation.from_quat(rotation))
