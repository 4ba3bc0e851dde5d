"""`giga detect`, from files to files, and its sentences."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import CAMERA, made_model, side_view_pose, table_view

from giga_bringup.command_line import main
from giga_bringup.commands import detect
from giga_perception import Giga
from giga_perception.model_kinds import GIGA_AFF
from giga_perception.selection_policy import POLICY_NAMES
from giga_perception.weights import SHIPPED_MODEL, save_model


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


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture: it takes most of the time."""
    monkeypatch.setattr("giga_perception.picture.draw_detection", lambda *args, **kwargs: None)


def transform(record: dict[str, list[float]]) -> RigidTransform:
    return RigidTransform.from_components(record["translation_m"], Rotation.from_quat(record["rotation_xyzw"]))


def read_record(arguments: list[str], tmp_path: Path) -> dict[str, Any]:
    """What `giga detect` writes about these arguments."""
    assert main(arguments) == 0
    record: dict[str, Any] = json.loads((tmp_path / "out" / "grasps.json").read_text())
    return record


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
        (["--out-threshold", "0"], "--out-threshold"),
        (["--select", "luckiest"], "luckiest"),
        (["--seed", "-1"], "--seed"),
        (["--device", "abacus"], "abacus"),
        (["--mesh", "nowhere/scene.ply"], "there is no folder nowhere"),
        (["--affordance", "seen.stl"], "--affordance seen.stl: the name of a mesh must end in one of .ply, .obj"),
        (["--mesh", "scene.ply", "--mesh-resolution", "1000"], "resolution must be 8 to 160 cells a side"),
        (["--mesh", "scene.ply", "--mesh-triangles", "3"], "max_triangles must be at least 100"),
        (["--extrinsics", "another.json"], "--extrinsics: 1 depth images need as many"),
        (["--intrinsics", "another.json"], "--intrinsics: 1 depth images need one for all"),
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


@pytest.mark.parametrize("option", ["--intrinsics", "--extrinsics"])
def test_a_camera_file_that_is_not_there(arguments: list[str], option: str, capsys) -> None:
    arguments[arguments.index(option) + 1] = "nowhere.json"
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("giga: nowhere.json: no such file")


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
@pytest.mark.usefixtures("_undrawn")
def test_the_mesh_of_the_objects_is_closed(arguments: list[str], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scene{suffix}"
    assert main([*arguments, "--model", str(SHIPPED_MODEL), "--mesh", str(path), "--mesh-triangles", "3000"]) == 0
    mesh = trimesh.load_mesh(path)
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert 500 < len(mesh.faces) <= 3000
    assert (mesh.visual.kind == "vertex") == (suffix == ".ply")


@pytest.mark.usefixtures("_undrawn")
def test_the_seen_surface_is_coloured_whatever_the_model(arguments: list[str], tmp_path: Path) -> None:
    save_model(tmp_path / "aff.safetensors", Giga(GIGA_AFF), {"name": "aff"})
    path = tmp_path / "seen.ply"
    assert main([*arguments, "--model", str(tmp_path / "aff.safetensors"), "--affordance", str(path)]) == 0
    mesh = trimesh.load_mesh(path)
    assert len(mesh.faces) > 500
    assert mesh.visual.kind == "vertex"


def test_a_model_without_geometry_has_no_mesh(arguments: list[str], tmp_path: Path, capsys) -> None:
    save_model(tmp_path / "aff.safetensors", Giga(GIGA_AFF), {"name": "aff"})
    asked = [*arguments, "--model", str(tmp_path / "aff.safetensors"), "--mesh", str(tmp_path / "scene.ply")]
    assert main(asked) == 2
    error = capsys.readouterr().err
    assert "predicts no geometry" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_undrawn")
def test_several_images_are_fused(arguments: list[str], tmp_path: Path) -> None:
    """The second image, of the same camera turned half around the table, shows what the first cannot see."""
    once = read_record(arguments, tmp_path)
    half_turn = RigidTransform.from_components([0.3, 0.3, 0.0], Rotation.from_euler("z", 180, degrees=True))
    pose = side_view_pose() * half_turn
    (tmp_path / "T2.json").write_text(json.dumps({"T_camera_workspace": pose.as_matrix().tolist()}))
    shutil.copy(tmp_path / "depth.png", tmp_path / "second.png")
    arguments.insert(2, str(tmp_path / "second.png"))
    twice = read_record([*arguments, "--extrinsics", str(tmp_path / "T2.json")], tmp_path)
    assert twice["report"]["voxels_observed"] > once["report"]["voxels_observed"] + 1000
    views = twice["source"]["views"]
    assert [Path(view["extrinsics"]).name for view in views] == ["T.json", "T2.json"]
    assert [Path(view["depth"]).name for view in views] == ["depth.png", "second.png"]
    assert views[0]["intrinsics"] == views[1]["intrinsics"]


@pytest.mark.usefixtures("_undrawn")
def test_the_order_of_grasps_is_the_policy_asked_for(arguments: list[str], tmp_path: Path) -> None:
    best = read_record(arguments, tmp_path)["grasps"]
    qualities = [grasp["quality"] for grasp in best]
    assert len(best) > 3
    assert qualities == sorted(qualities, reverse=True)
    shuffled = read_record([*arguments, "--select", "random", "--seed", "3"], tmp_path)["grasps"]
    again = read_record([*arguments, "--select", "random", "--seed", "3"], tmp_path)["grasps"]
    assert shuffled == again
    assert [grasp["quality"] for grasp in shuffled] != qualities
    assert sorted(grasp["quality"] for grasp in shuffled) == sorted(qualities)
    assert read_record([*arguments, "--select", "highest"], tmp_path)["source"]["select"] == "highest"


@pytest.mark.usefixtures("_undrawn")
def test_finer_centres_and_another_out_threshold_find_other_grasps(arguments: list[str], tmp_path: Path) -> None:
    coarse = read_record(arguments, tmp_path)["report"]
    fine = read_record([*arguments, "--resolution", "60"], tmp_path)["report"]
    assert fine["centres_queried"] > 2 * coarse["centres_queried"]
    wider = read_record([*arguments, "--out-threshold", "0.1"], tmp_path)["report"]
    assert wider["centres_near_surface"] != coarse["centres_near_surface"]


def test_the_help_names_every_policy() -> None:
    parser = argparse.ArgumentParser()
    detect.add_arguments(parser)
    assert all(name in parser.format_help() for name in POLICY_NAMES)


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
