"""`giga detect`, from files to files, and its sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import CAMERA, made_model, side_view_pose, table_view

from giga_bringup.command_line import main
from giga_perception.weights import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    save_model(path, made_model(), {"name": "made"})
    return path


@pytest.fixture
def arguments(tmp_path: Path, model: Path) -> list[str]:
    depth, intrinsics, extrinsics = tmp_path / "depth.png", tmp_path / "K.json", tmp_path / "T.json"
    assert cv2.imwrite(str(depth), np.round(table_view().depth_m * 1000).astype(np.uint16))
    intrinsics.write_text(json.dumps({"fx": CAMERA.fx, "fy": CAMERA.fy, "cx": CAMERA.cx, "cy": CAMERA.cy}))
    extrinsics.write_text(json.dumps({"T_camera_workspace": side_view_pose().as_matrix().tolist()}))
    files = ["detect", str(depth), "--intrinsics", str(intrinsics), "--extrinsics", str(extrinsics)]
    return [*files, "--model", str(model), "--threshold", "0.01", "--output", str(tmp_path / "out")]


def transform(record: dict[str, list[float]]) -> RigidTransform:
    return RigidTransform.from_components(record["translation_m"], Rotation.from_quat(record["rotation_xyzw"]))


def test_one_image_becomes_grasps_picture_and_mesh(arguments: list[str], tmp_path: Path, capsys) -> None:
    assert main([*arguments, "--max-grasps", "2", "--mesh", str(tmp_path / "scene.ply")]) == 0
    record = json.loads((tmp_path / "out" / "grasps.json").read_text())
    assert record["format"] == "giga-detection"
    assert record["report"]["model"] == "made"
    assert record["report"]["after_nms"] > 2
    first, second = record["grasps"]
    assert (first["rank"], second["rank"]) == (1, 2)
    assert first["quality"] >= second["quality"]
    in_camera = side_view_pose() * transform(first["T_workspace_tcp"])
    np.testing.assert_allclose(transform(first["T_camera_tcp"]).as_matrix(), in_camera.as_matrix(), atol=1e-6)
    assert cv2.imread(str(tmp_path / "out" / "detection.png")) is not None
    mesh = trimesh.load(tmp_path / "scene.ply")
    assert mesh.bounds.min() >= -1e-6
    assert mesh.bounds.max() <= 0.3 + 1e-6
    output = capsys.readouterr().out
    assert "grasps.json" in output
    assert f"{first['quality']:.2f}" in output


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--threshold", "2"], "--threshold"),
        (["--resolution", "3"], "--resolution"),
        (["--max-grasps", "-1"], "--max-grasps"),
        (["--depth-unit", "0"], "--depth-unit"),
        (["--mesh", "scene.png"], "--mesh"),
        (["--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--intrinsics", "nowhere.json"], "nowhere.json"),
        (["--extrinsics", "nowhere.json"], "nowhere.json"),
        (["--depth-unit", "1"], "--depth-unit"),
        (["--output", __file__], "name a folder"),
    ],
)
def test_bad_input_ends_with_one_sentence(arguments: list[str], more: list[str], sentence: str, capsys) -> None:
    assert main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("giga: ")
    assert error.count("\n") == 1


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_bytes(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("which", ["depth.png", "K.json", "T.json", "model.safetensors"])
@pytest.mark.parametrize("spoil", [cut_in_half, empty, other_bytes, replaced_by_a_folder])
def test_a_damaged_file_is_named_in_one_sentence(
    arguments: list[str], which: str, spoil, tmp_path: Path, model: Path, capfd
) -> None:
    shutil.copy(model, tmp_path / "model.safetensors")
    spoil(tmp_path / which)
    assert main([*arguments, "--model", str(tmp_path / "model.safetensors")]) == 2
    error = capfd.readouterr().err
    assert str(tmp_path / which) in error
    assert error.startswith("giga: ")
    assert error.count("\n") == 1, "nothing but the sentence, not even a line of the libraries below"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fx": 0.0}, "focal lengths must be positive"),
        ({"fx": float("nan")}, "not finite"),
        ({"width": 640, "height": 480}, "is for a 640 x 480 image"),
    ],
)
def test_intrinsics_of_no_such_camera(
    arguments: list[str], change: dict[str, float], sentence: str, tmp_path: Path, capsys
) -> None:
    file = tmp_path / "K.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert str(file) in error


def test_a_camera_that_looks_away_from_the_workspace(arguments: list[str], tmp_path: Path, capsys) -> None:
    away = RigidTransform.from_rotation(Rotation.from_euler("y", 180, degrees=True)) * side_view_pose()
    (tmp_path / "T.json").write_text(json.dumps({"T_camera_workspace": away.as_matrix().tolist()}))
    assert main(arguments) == 2
    assert "the whole workspace lies behind the camera" in capsys.readouterr().err
