"""What stands fixed around the robot, from `config/cell.yaml`: the planner's obstacles and the workspace's place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.configuration import ConfigurationError, number, numbers, rigid_transform, section

FloatArray = NDArray[np.float64]

TABLE_HEIGHT_M = 0.05
"""The table's surface in the workspace frame."""


@dataclass(frozen=True)
class BoxObstacle:
    """A box that does not move: the pose of its centre in the robot's base frame and its full side lengths [3]."""

    name: str
    T_base_box: RigidTransform
    size_m: FloatArray


@dataclass(frozen=True)
class Cell:
    """The work cell as the planner sees it."""

    T_base_workspace: RigidTransform
    obstacles: tuple[BoxObstacle, ...]
    """Table, the bin's floor and walls, the camera's stand."""

    @property
    def table_height_base_m(self) -> float:
        """Height of the table's surface in the base frame; the workspace's z axis is the base's."""
        return float(self.T_base_workspace.translation[2]) + TABLE_HEIGHT_M


def load_cell(path: Path) -> Cell:
    """Read and check the cell.

    Raises:
        ConfigurationError: the file is missing or not what a cell should be; the sentence names file and field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The cell {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"The cell {path} is not a mapping of fields to values.")
    try:
        return _cell(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"In the cell {path}: {error}") from error


def _cell(content: dict[str, Any]) -> Cell:
    T_base_workspace = rigid_transform(section(content, "T_base_workspace"))
    # Heights are compared along the base's z axis, so the two frames may differ by a turn about z only.
    if not np.allclose(T_base_workspace.rotation.as_matrix()[2], [0.0, 0.0, 1.0], atol=1e-3):
        raise ConfigurationError("T_base_workspace tilts the workspace: its z axis has to be the base's.")
    boxes: list[tuple[str, FloatArray, FloatArray]] = [_table(section(content, "table"))]
    boxes += _bin(section(content, "bin"))
    stand = section(content, "camera_stand")
    boxes.append(("camera_stand", numbers(stand, "centre_m", 3), numbers(stand, "size_m", 3)))
    obstacles = []
    for name, centre_m, size_m in boxes:
        if np.any(size_m <= 0.0):
            raise ConfigurationError(f"'{name}' has a side length that is not above zero.")
        T_base_box = T_base_workspace * RigidTransform.from_translation(centre_m)
        obstacles.append(BoxObstacle(name, T_base_box, size_m))
    return Cell(T_base_workspace, tuple(obstacles))


def _table(content: dict[str, Any]) -> tuple[str, FloatArray, FloatArray]:
    thickness_m = number(content, "thickness_m")
    centre_xy_m = numbers(content, "centre_xy_m", 2)
    size_xy_m = numbers(content, "size_xy_m", 2)
    centre_m = np.array([*centre_xy_m, TABLE_HEIGHT_M - 0.5 * thickness_m])
    return "table", centre_m, np.array([*size_xy_m, thickness_m])


def _bin(content: dict[str, Any]) -> list[tuple[str, FloatArray, FloatArray]]:
    """Floor and four walls of the open box; `centre_m` is the centre of its floor on the table."""
    x, y, z = numbers(content, "centre_m", 3)
    width_x, width_y, height = numbers(content, "size_m", 3)
    wall = number(content, "wall_m")
    middle_z = z + 0.5 * height
    offset_x, offset_y = 0.5 * (width_x - wall), 0.5 * (width_y - wall)
    return [
        ("bin_floor", np.array([x, y, z + 0.5 * wall]), np.array([width_x, width_y, wall])),
        ("bin_wall_back", np.array([x - offset_x, y, middle_z]), np.array([wall, width_y, height])),
        ("bin_wall_front", np.array([x + offset_x, y, middle_z]), np.array([wall, width_y, height])),
        ("bin_wall_right", np.array([x, y - offset_y, middle_z]), np.array([width_x, wall, height])),
        ("bin_wall_left", np.array([x, y + offset_y, middle_z]), np.array([width_x, wall, height])),
    ]
