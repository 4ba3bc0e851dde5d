"""`giga detect`, from files to files, and its sentences."""

from __future__ import annotations

import json
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
