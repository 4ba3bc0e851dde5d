"""Recorded views: what is read, and the sentence for each thing that can be wrong with the files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from table_scene import CAMERA, side_view_pose, table_view

from giga_perception.camera_file import read_camera, read_T_camera_workspace
from giga_perception.depth_file import read_depth_m
from giga_perception.input_file import InputFileError
from giga_perception.recorded_view import read_depth_view

DEPTH_M = table_view().depth_m
INTRINSICS = {"fx": 270.0, "fy": 270.0, "cx": 160.0, "cy": 120.0}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def image(path: Path, values: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), values)
    return path


def array_file(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bit_images_are_millimetres(tmp_path: Path, suffix: str) -> None:
    path = image(tmp_path / f"depth{suffix}", np.round(DEPTH_M * 1000).astype(np.uint16))
    depth_m = read_depth_m(path)
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, DEPTH_M, atol=0.0006)


def test_a_count_may_be_worth_something_else(tmp_path: Path) -> None:
    path = image(tmp_path / "depth.png", np.round(DEPTH_M * 10_000).astype(np.uint16))
    np.testing.assert_allclose(read_depth_m(path, count_m=1e-4), DEPTH_M, atol=0.0001)


def test_floats_are_metres_whatever_holds_them(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", DEPTH_M.astype(np.float64))
    paths = [
        tmp_path / "depth.npy",
        array_file(tmp_path / "one.npz", anything=DEPTH_M),
        array_file(tmp_path / "named.npz", colour=np.zeros(3), depth=DEPTH_M),
        image(tmp_path / "depth.tiff", DEPTH_M),
    ]
    for path in paths:
        np.testing.assert_array_equal(read_depth_m(path), DEPTH_M)


def test_what_is_no_depth_becomes_no_reading(tmp_path: Path) -> None:
    spoiled = DEPTH_M.copy()
    spoiled[0, :3] = [np.nan, np.inf, -1.0]
    np.save(tmp_path / "depth.npy", spoiled)
    assert (read_depth_m(tmp_path / "depth.npy")[0, :3] == 0.0).all()


def not_an_image(folder: Path) -> Path:
    return written(folder / "depth.png", "this is no image")


def empty_file(folder: Path) -> Path:
    return written(folder / "depth.png", "")


def eight_bits(folder: Path) -> Path:
    return image(folder / "depth.png", np.full((4, 4), 200, dtype=np.uint8))


def colour(folder: Path) -> Path:
    return image(folder / "depth.png", np.full((4, 4, 3), 200, dtype=np.uint16))


def broken_array(folder: Path) -> Path:
    return written(folder / "depth.npy", "no array")


def pickled(folder: Path) -> Path:
    np.save(folder / "depth.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return folder / "depth.npy"


def cut_png(folder: Path) -> Path:
    path = image(folder / "depth.png", np.round(DEPTH_M * 1000).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:-300])
    return path


def damaged_zip(folder: Path) -> Path:
    path = folder / "depth.npz"
    np.savez_compressed(path, depth_m=DEPTH_M)
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    return path


def absurd_header(folder: Path) -> Path:
    path = folder / "depth.npy"
    np.save(path, DEPTH_M)
    path.write_bytes(path.read_bytes().replace(b"(240, 320)", b"((40, 320)"))
    return path


def damaged_tiff(folder: Path) -> Path:
    path = image(folder / "depth.tiff", DEPTH_M)
    path.write_bytes(path.read_bytes()[:1000])
    return path


def complex_numbers(folder: Path) -> Path:
    np.save(folder / "depth.npy", DEPTH_M.astype(np.complex64))
    return folder / "depth.npy"


def only_infinities(folder: Path) -> Path:
    np.save(folder / "depth.npy", np.full((4, 4), np.inf))
    return folder / "depth.npy"


def many_arrays(folder: Path) -> Path:
    return array_file(folder / "depth.npz", left=DEPTH_M, right=DEPTH_M)


def nothing_valid(folder: Path) -> Path:
    return image(folder / "depth.png", np.zeros((4, 4), dtype=np.uint16))


def metres_as_counts(folder: Path) -> Path:
    return image(folder / "depth.png", np.ones((4, 4), dtype=np.uint16))


def millimetres_as_floats(folder: Path) -> Path:
    np.save(folder / "depth.npy", DEPTH_M * 1000)
    return folder / "depth.npy"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder / "absent.png", "no such file"),
        (lambda folder: folder, "is a folder"),
        (not_an_image, "not an image"),
        (empty_file, "not an image"),
        (eight_bits, "8-bit"),
        (colour, "one channel"),
        (broken_array, "no readable NumPy file"),
        (pickled, "no readable NumPy file"),
        (cut_png, "PNG that is cut short"),
        (damaged_zip, "no readable NumPy file"),
        (absurd_header, "no readable NumPy file"),
        (damaged_tiff, "not an image"),
        (complex_numbers, "complex64"),
        (only_infinities, "no pixel"),
        (many_arrays, "left, right"),
        (nothing_valid, "no pixel"),
        (metres_as_counts, "--depth-unit"),
        (millimetres_as_floats, "look like millimetres"),
    ],
)
def test_a_depth_image_that_cannot_be_used(tmp_path: Path, make, sentence: str) -> None:
    path = make(tmp_path)
    with pytest.raises(InputFileError, match=sentence) as raised:
        read_depth_m(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        INTRINSICS,
        INTRINSICS | {"width": 320, "height": 240},
        {"K": [[270, 0, 160], [0, 270, 120], [0, 0, 1]]},
        {"K": [270, 0, 160, 0, 270, 120, 0, 0, 1]},
        [[270, 0, 160], [0, 270, 120], [0, 0, 1]],
    ],
)
def test_intrinsics_in_each_form(tmp_path: Path, content: object) -> None:
    assert read_camera(written(tmp_path / "K.json", content), 320, 240) == CAMERA


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"fx": 270,', "not JSON"),
        ("3", "expected an object"),
        ({"fx": 270.0, "fy": 270.0}, "lacks cx, cy"),
        (INTRINSICS | {"width": 640, "height": 480}, "640 x 480 image, but the depth image is 320 x 240"),
        (INTRINSICS | {"cx": 500.0}, "outside the 320 x 240"),
        (INTRINSICS | {"fx": -1.0}, "positive"),
        (INTRINSICS | {"fx": "wide"}, "fx must be 1 number"),
        ({"K": [[270, 0], [0, 270]]}, "K must be 9 number"),
        ({"K": [[270, 0, 0], [0, 270, 0], [160, 120, 1]]}, "row by row"),
    ],
)
def test_intrinsics_that_cannot_be_used(tmp_path: Path, content: object, sentence: str) -> None:
    path = written(tmp_path / "K.json", content)
    with pytest.raises(InputFileError, match=sentence) as raised:
        read_camera(path, 320, 240)
    assert str(path) in str(raised.value)


def test_extrinsics_in_each_form_are_the_same_pose(tmp_path: Path) -> None:
    pose = side_view_pose()
    inverse = pose.inv()
    parts = {
        "translation_m": inverse.translation.tolist(),
        "rotation_xyzw": inverse.rotation.as_quat().tolist(),
    }
    for content in (
        {"T_camera_workspace": pose.as_matrix().tolist()},
        {"T_workspace_camera": inverse.as_matrix().tolist()},
        {"T_workspace_camera": parts},
        {"T_camera_workspace": pose.as_matrix().reshape(-1).tolist(), "note": "kept"},
    ):
        read = read_T_camera_workspace(written(tmp_path / "T.json", content))
        np.testing.assert_allclose(read.as_matrix(), pose.as_matrix(), atol=1e-9)


def matrix_with(**changes: object) -> list[list[float]]:
    matrix = side_view_pose().as_matrix()
    if "scale" in changes:
        matrix[:3, :3] *= changes["scale"]
    if "mirror" in changes:
        matrix[0] *= -1.0
    if "translation" in changes:
        matrix[:3, 3] = changes["translation"]
    return (matrix.T if "transposed" in changes else matrix).tolist()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[", "not JSON"),
        ({}, "must hold one of T_camera_workspace"),
        ({"T_camera_workspace": matrix_with(), "T_workspace_camera": matrix_with()}, "must hold one of"),
        ({"T_camera_workspace": [1.0, 2.0]}, "must be 16 number"),
        ({"T_camera_workspace": matrix_with(scale=1.1)}, "is no rotation"),
        ({"T_camera_workspace": matrix_with(mirror=True)}, "mirror image"),
        ({"T_camera_workspace": matrix_with(transposed=True)}, "transposed"),
        ({"T_camera_workspace": matrix_with(translation=[100.0, 200.0, 600.0])}, "metres"),
        ({"T_camera_workspace": {"translation_m": [0, 0, 0]}}, "needs exactly"),
        ({"T_camera_workspace": {"translation_m": [0, 0, 0], "rotation_xyzw": [0, 0, 0, 2]}}, "is no rotation"),
    ],
)
def test_extrinsics_that_cannot_be_used(tmp_path: Path, content: object, sentence: str) -> None:
    path = written(tmp_path / "T.json", content)
    with pytest.raises(InputFileError, match=sentence) as raised:
        read_T_camera_workspace(path)
    assert str(path) in str(raised.value)


def test_the_whole_view_and_a_pose_given_the_wrong_way_round(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", DEPTH_M)
    intrinsics = written(tmp_path / "K.json", INTRINSICS)
    extrinsics = written(tmp_path / "T.json", {"T_camera_workspace": matrix_with()})
    view = read_depth_view(tmp_path / "depth.npy", intrinsics, extrinsics)
    assert view.camera == CAMERA
    np.testing.assert_array_equal(view.depth_m, DEPTH_M)

    swapped = written(tmp_path / "swapped.json", {"T_workspace_camera": matrix_with()})
    with pytest.raises(InputFileError, match="swapped"):
        read_depth_view(tmp_path / "depth.npy", intrinsics, swapped)
