"""The files that describe cell and robot: the shipped ones can be read, and a mistake in one ends in a sentence."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from giga_sim.cell import read_cell
from giga_sim.config_file import ConfigFileError
from giga_sim.robot_profile import read_robot_profile

CONFIG = Path(__file__).resolve().parents[2] / "config"
CELL, PANDA = CONFIG / "cell.yaml", CONFIG / "robots" / "panda.yaml"


def edited(tmp_path, source, **changes):
    """A copy of `source` with dotted fields replaced; a value of None removes the field."""
    content = yaml.safe_load(source.read_text())
    for path, value in changes.items():
        *sections, name = path.split("__")
        section = content
        for key in sections:
            section = section[key]
        if value is None:
            del section[name]
        else:
            section[name] = value
    copy = tmp_path / source.name
    copy.write_text(yaml.safe_dump(content))
    return copy


def test_the_shipped_cell():
    cell = read_cell(CELL)
    assert cell.table.centre_m[2] + cell.table.size_m[2] / 2 == pytest.approx(0.05), "the table plane of the workspace"
    assert cell.camera.width == 640
    lower = np.min([part.centre_m - part.size_m / 2 for part in cell.bin.parts()], axis=0)
    upper = np.max([part.centre_m + part.size_m / 2 for part in cell.bin.parts()], axis=0)
    assert upper - lower == pytest.approx(cell.bin.size_m)
    assert lower[2] == pytest.approx(cell.bin.centre_m[2])


def test_the_shipped_panda():
    profile = read_robot_profile(PANDA)
    assert profile.joint_names == (
        *(f"panda_joint{number}" for number in range(1, 8)),
        "panda_finger_joint1",
        "panda_finger_joint2",
    )
    assert profile.T_parent_tcp.translation == pytest.approx([0.0, 0.0, 0.1034])


@pytest.mark.parametrize(
    ("source", "field", "value", "words"),
    [
        (CELL, "camera__width", "wide", "camera.width must be a whole number"),
        (CELL, "camera__near_m", 3.0, "camera.near_m must be below far_m"),
        (CELL, "bin__wall_m", 0.2, "bin.wall_m leaves no room"),
        (CELL, "table__size_xy_m", [1.0], "table.size_xy_m must be a list of 2 numbers"),
        (CELL, "T_base_workspace__rotation_xyzw", [0, 0, 0, 2], "must be a unit quaternion"),
        (CELL, "camera_stand", None, "camera_stand is missing"),
        (PANDA, "arm_joints", ["a"] * 7, "arm_joints must be a list of 7 different names"),
        (PANDA, "gripper_max_width_m", -1.0, "gripper_max_width_m must be above 0"),
        (PANDA, "configurations__home", [9.0] * 7, "configurations.home lies outside"),
        (PANDA, "limits__lower_rad", [3.0] * 7, "limits.lower_rad must lie below upper_rad"),
    ],
)
def test_a_mistake_ends_in_a_sentence(tmp_path, source, field, value, words):
    path = edited(tmp_path, source, **{field: value})
    read = read_cell if source is CELL else read_robot_profile
    with pytest.raises(ConfigFileError) as error:
        read(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_or_broken_file_ends_in_a_sentence(tmp_path):
    with pytest.raises(ConfigFileError, match="cannot be read"):
        read_cell(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("camera: [1, 2")
    with pytest.raises(ConfigFileError, match="is not valid YAML"):
        read_cell(broken)
