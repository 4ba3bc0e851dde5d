"""`giga calibrate table` on recorded images: what it says, draws and writes, and its sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import CAMERA, side_view_pose, table_view

from giga_bringup.command_line import main
from giga_bringup.transform_edit import cell_change
from giga_perception.camera_file import read_T_camera_workspace
from giga_sim.cell import read_cell

CELL = Path(__file__).resolve().parents[2] / "config" / "cell.yaml"
# The configured workspace lies 2 cm too low and is tilted by 4 degrees about the middle of its table.
MIDDLE = RigidTransform.from_translation([0.15, 0.15, 0.05])
TILT = Rotation.from_euler("x", 4.0, degrees=True)
T_TRUE_WRONG = MIDDLE * RigidTransform.from_components([0.0, 0.0, -0.02], TILT) * MIDDLE.inv()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert cv2.imwrite(str(tmp_path / "depth.png"), np.round(table_view().depth_m * 1000).astype(np.uint16))
    # Open3D casts its rays through the middle of pixels that it counts from 0.
    intrinsics = {"fx": CAMERA.fx, "fy": CAMERA.fy, "cx": CAMERA.cx - 0.5, "cy": CAMERA.cy - 0.5}
    (tmp_path / "K.json").write_text(json.dumps(intrinsics))
    T_camera_workspace = side_view_pose() * T_TRUE_WRONG
    record = {"made_by": "hand", "T_camera_workspace": T_camera_workspace.as_matrix().tolist()}
    (tmp_path / "T.json").write_text(json.dumps(record, indent=2))
    (tmp_path / "cell.yaml").write_text(CELL.read_text())
    return tmp_path


def calibrate(folder: Path, *more: str) -> int:
    files = ["--intrinsics", str(folder / "K.json"), "--extrinsics", str(folder / "T.json")]
    return main(["calibrate", "table", str(folder / "depth.png"), *files, "--cell", str(folder / "cell.yaml"), *more])


def found(output: str) -> tuple[float, float]:
    """Offset in mm and tilt in degrees."""
    offset, tilt = re.search(r"offset +([-+\d.]+) mm", output), re.search(r"tilt +([\d.]+) deg", output)
    assert offset
    assert tilt
    return float(offset[1]), float(tilt[1])


def test_it_says_how_far_off_the_table_is_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert calibrate(folder) == 0
    output = capsys.readouterr().out
    assert found(output) == pytest.approx((20.0, 4.0), abs=0.3)
    assert "more than 10 mm and 3 degrees" in output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    cell_line = (folder / "cell.yaml").read_text().splitlines().index("  translation_m: [0.35, -0.15, -0.05]") + 1
    assert f"{folder}/cell.yaml:{cell_line}\n" in output
    assert f"{folder}/T.json:3\n" in output
    numbers = [float(word) for word in re.search(r"qx qy qz qw\):\n +(.*)\n", output)[1].split()]
    corrected = RigidTransform.from_components(numbers[:3], Rotation.from_quat(numbers[3:]))
    # The table's plane in the corrected workspace, seen from the true one, is where it should be.
    to_true = side_view_pose().inv() * corrected.inv()
    np.testing.assert_allclose(
        to_true.apply([[0.0, 0.0, 0.05], [0.3, 0.0, 0.05], [0.0, 0.3, 0.05]])[:, 2], 0.05, atol=1e-3
    )


def test_written_into_the_extrinsics_the_next_look_finds_nothing_off(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(folder, "--write", str(folder / "T.json")) == 0
    assert f"changed: {folder}/T.json:3" in capsys.readouterr().out
    assert json.loads((folder / "T.json").read_text())["made_by"] == "hand"
    read_T_camera_workspace(folder / "T.json")
    assert calibrate(folder) == 0
    output = capsys.readouterr().out
    assert found(output) == pytest.approx((0.0, 0.0), abs=0.05)
    assert "good enough" in output


def test_extrinsics_keep_their_way_round(folder: Path) -> None:
    T_workspace_camera = (side_view_pose() * T_TRUE_WRONG).inv()
    (folder / "T.json").write_text(json.dumps({"T_workspace_camera": T_workspace_camera.as_matrix().tolist()}))
    assert calibrate(folder, "--write", str(folder / "T.json")) == 0
    assert list(json.loads((folder / "T.json").read_text())) == ["T_workspace_camera"]
    assert calibrate(folder) == 0


def test_written_into_the_cell_only_its_two_lines_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell_file = folder / "cell.yaml"
    before = read_cell(cell_file)
    assert calibrate(folder, "--write", str(cell_file)) == 0
    output = capsys.readouterr().out
    changed = [
        number
        for number, (old, new) in enumerate(
            zip(CELL.read_text().splitlines(), cell_file.read_text().splitlines(), strict=True), start=1
        )
        if old != new
    ]
    assert len(changed) == 2
    assert "changed: " + ", ".join(f"{cell_file}:{number}" for number in changed) in output
    # The camera stays where it is relative to the robot, so the base sees the table where it truly is.
    T_base_true = before.T_base_workspace * T_TRUE_WRONG.inv()
    T_true_corrected = T_base_true.inv() * read_cell(cell_file).T_base_workspace
    corners = T_true_corrected.apply([[0.0, 0.0, 0.05], [0.3, 0.0, 0.05], [0.0, 0.3, 0.05]])
    np.testing.assert_allclose(corners[:, 2], 0.05, atol=1e-3)


def test_the_smallest_numbers_stay_numbers_in_yaml(folder: Path) -> None:
    change = cell_change(folder / "cell.yaml", RigidTransform.from_translation([1e-5, -1e-9, 2.0]))
    values = yaml.safe_load(change.content)["T_base_workspace"]
    assert values == {"translation_m": [1e-5, 0.0, 2.0], "rotation_xyzw": [0.0, 0.0, 0.0, 1.0]}


def test_the_picture_shows_where_the_plane_is(folder: Path) -> None:
    assert calibrate(folder, "--picture", str(folder / "deeper" / "table.png")) == 0
    picture = cv2.imread(str(folder / "deeper" / "table.png"))
    blue, green, red = (picture[..., channel].astype(int) for channel in range(3))
    assert np.count_nonzero((green > red + 20) & (green > blue + 10)) > 0.1 * green.size


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--topic", "/camera"], "--topic"),
        (["--timeout", "0"], "--timeout"),
        (["--max-offset", "5"], "--max-offset"),
        (["--max-tilt", "nan"], "--max-tilt"),
        (["--max-offset", "0.01"], "look farther with --max-offset"),
        (["--depth-unit", "-1"], "--depth-unit"),
        (["--picture", "table.jpg"], ".png"),
        (["--write", "notes.txt"], "--write"),
        (["--write", "other.json"], "other.json"),
        (["--write", "nowhere.yaml"], "nowhere.yaml"),
        (["--cell", "nowhere.yaml"], "nowhere.yaml"),
        (["--picture", "/proc/nowhere/table.png"], "table.png"),
    ],
)
def test_bad_input_ends_with_one_sentence(
    folder: Path, more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(folder, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("giga: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_half_a_recording_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth, intrinsics = str(folder / "depth.png"), str(folder / "K.json")
    assert main(["calibrate", "table", depth, "--intrinsics", intrinsics]) == 2
    assert "--extrinsics" in capsys.readouterr().err
    assert main(["calibrate", "table", "--intrinsics", intrinsics]) == 2
    assert "--intrinsics" in capsys.readouterr().err


def test_no_table_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(folder / "depth.png"), np.full((240, 320), 3000, np.uint16))
    assert calibrate(folder) == 2
    assert "configured table" in capsys.readouterr().err


def test_a_cell_written_over_several_lines_is_refused_with_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = folder / "cell.yaml"
    cell.write_text(CELL.read_text().replace("[0.35, -0.15, -0.05]", "[0.35,\n    -0.15, -0.05]"))
    assert calibrate(folder) == 2
    assert "on one line" in capsys.readouterr().err
