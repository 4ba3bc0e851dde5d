"""Labelled scenes on disk: what goes in comes out, small; damage is named; folders grow while they are read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform
from synthetic_scenes import box_scene

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.dataset import (
    DatasetError,
    DatasetWriter,
    data_root,
    occupancy_points_m,
    open_dataset,
    read_scene,
    read_scene_header,
)
from giga_perception.occupancy_points import OCCUPANCY_POINT_COUNT
from giga_perception.stored_depth import DEPTH_UNIT_M
from giga_perception.workspace import WORKSPACE_SIZE_M

OTHER_CAMERA = PinholeCamera(width=6, height=4, fx=5.0, fy=5.0, cx=3.0, cy=2.0)


def test_a_scene_comes_back_as_it_was_written(tmp_path: Path) -> None:
    scene = box_scene(3)
    path = DatasetWriter(tmp_path, {"generator": "boxes"}).write(scene)
    back = read_scene(path)
    assert np.abs(back.depth_m - scene.depth_m).max() <= DEPTH_UNIT_M / 2 + 1e-6
    assert np.array_equal(back.depth_m == 0, scene.depth_m == 0)
    for name in ("centres_m", "rotations_xyzw", "widths_m", "successes", "occupancy"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scene, name))
    assert (back.seed, back.scene, back.split, back.object_names) == (3, "pile", "train", ("box",) * 3)
    assert back.camera == scene.camera
    np.testing.assert_allclose(
        back.T_camera_workspace.as_matrix(), scene.T_camera_workspace.as_matrix(), rtol=0, atol=1e-12
    )
    assert read_scene_header(path)["generator"] == "boxes"


def test_a_full_size_scene_is_small(tmp_path: Path) -> None:
    camera = dataclasses.replace(box_scene(0).camera, width=640, height=480, fx=540.0, fy=540.0, cx=320.0, cy=240.0)
    path = DatasetWriter(tmp_path, {}).write(box_scene(0, camera=camera, labels=60))
    assert path.stat().st_size < 60_000


def test_other_views_come_back_with_their_poses(tmp_path: Path) -> None:
    scene = box_scene(3, other_views=2)
    path = DatasetWriter(tmp_path, {}).write(scene)
    back = read_scene(path)
    assert len(back.other_views) == 2
    for ours, theirs in zip(back.other_views, scene.other_views, strict=True):
        assert np.abs(ours.depth_m - theirs.depth_m).max() <= DEPTH_UNIT_M / 2 + 1e-6
        assert ours.camera == scene.camera
        np.testing.assert_allclose(
            ours.T_camera_workspace.as_matrix(), theirs.T_camera_workspace.as_matrix(), rtol=0, atol=1e-12
        )
    assert read_scene_header(path)["views"] == 3
    quick = read_scene(path, other_views=False)
    assert quick.other_views == ()
    np.testing.assert_array_equal(quick.depth_m, back.depth_m)


def as_version_1(path: Path) -> None:
    """Rewrites a scene file of one view as the first version of the format had it."""
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    assert header.pop("views") == 1
    del header["occupancy_points"]
    header["version"] = 1
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez_compressed(path, **arrays)


def test_version_1_is_read_and_scenes_of_version_2_may_join_it(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, {"generator": "old"})
    old = writer.write(box_scene(1))
    as_version_1(old)
    file = tmp_path / "dataset.json"
    header = json.loads(file.read_text())
    del header["occupancy_points"]
    file.write_text(json.dumps({**header, "version": 1}))
    np.testing.assert_array_equal(read_scene(old).occupancy, box_scene(1).occupancy)
    DatasetWriter(tmp_path, {"generator": "new"}).write(box_scene(2, other_views=1))
    assert [len(scene.other_views) for scene in open_dataset(tmp_path)] == [0, 1]
    assert open_dataset(tmp_path).header["generator"] == "old"
    assert [read_scene_header(path)["version"] for path in open_dataset(tmp_path).paths] == [1, 2]


def test_the_occupancy_points_are_told_and_checked(tmp_path: Path) -> None:
    path = DatasetWriter(tmp_path, {}).write(box_scene(1))
    told = open_dataset(tmp_path).header["occupancy_points"]
    steps, count = np.array(told["steps"]), np.arange(1, told["count"] + 1, dtype=np.float64)[:, None]
    again = (((told["start"] + count * steps) % 1.0) * told["size_m"]).astype("<f4")
    np.testing.assert_array_equal(again, occupancy_points_m())
    assert hashlib.sha256(again.tobytes()).hexdigest() == told["sha256"]
    assert read_scene_header(path)["occupancy_points"] == told
    file = tmp_path / "dataset.json"
    header = json.loads(file.read_text())
    header["occupancy_points"]["sha256"] = "0" * 64
    file.write_text(json.dumps(header))
    with pytest.raises(DatasetError, match=r"dataset\.json states occupancy at other points"):
        open_dataset(tmp_path)


def test_occupancy_points_are_fixed_and_fill_the_cube() -> None:
    points = occupancy_points_m()
    assert points.shape == (OCCUPANCY_POINT_COUNT, 3)
    assert points.min() >= 0.0
    assert points.max() <= WORKSPACE_SIZE_M
    # Stored data sets rely on these very points.
    np.testing.assert_allclose(points[0] / WORKSPACE_SIZE_M, [0.319173, 0.171044, 0.049700], atol=1e-5)
    for some in (points, points[10_000:14_000]):
        counts = np.histogramdd(some, bins=5, range=[(0, WORKSPACE_SIZE_M)] * 3)[0]
        assert counts.min() > 0.5 * len(some) / 125


def test_two_writers_share_a_folder_and_the_first_header_stays(tmp_path: Path) -> None:
    first, second = DatasetWriter(tmp_path, {"generator": "a"}), DatasetWriter(tmp_path, {"generator": "b"})
    first.write(box_scene(1))
    dataset = open_dataset(tmp_path)
    second.write(box_scene(2))
    second.write(dataclasses.replace(box_scene(2), scene="packed"))
    assert len(dataset) == 1
    assert dataset.header["generator"] == "a"
    assert first.seeds_done() == {1, 2}
    assert first.seeds_done("packed") == {2}
    assert len(open_dataset(tmp_path)) == 3
    assert read_scene_header(open_dataset(tmp_path).paths[0])["generator"] == "b"


def test_no_temporary_file_is_left_nor_taken_for_a_scene(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, {})
    with pytest.raises(ValueError, match="occupancy"):
        writer.write(dataclasses.replace(box_scene(1), occupancy=np.zeros(5, dtype=bool)))
    writer.write(box_scene(1))
    (tmp_path / ".pile_00000009.npz.77.tmp").write_bytes(b"what a killed writer leaves")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".tmp") == [
        "dataset.json",
        "pile_00000001.npz",
    ]
    assert writer.seeds_done() == {1}
    assert len(open_dataset(tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"scene": "heap"}, "scene"),
        ({"split": "test"}, "split"),
        ({"seed": -1}, "seed"),
        ({"other_views": (DepthView(np.ones((4, 6), np.float32), OTHER_CAMERA, RigidTransform.identity()),)}, "camera"),
        ({"rotations_xyzw": np.full((30, 4), 0.9, dtype=np.float32)}, "unit quaternion"),
        ({"widths_m": np.full(30, np.nan, dtype=np.float32)}, "finite"),
    ],
)
def test_a_malformed_scene_is_refused(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    scene = dataclasses.replace(box_scene(4), successes=np.ones(30, dtype=bool))
    with pytest.raises(ValueError, match=problem):
        DatasetWriter(tmp_path, {}).write(dataclasses.replace(scene, **change))  # type: ignore[arg-type]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = DatasetWriter(tmp_path, {}).write(box_scene(1))
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damage in (whole[:middle], b"", whole[:middle] + b"\xff" * 64 + whole[middle + 64 :]):
        path.write_bytes(damage)
        with pytest.raises(DatasetError, match=r"pile_00000001\.npz is damaged .*giga generate"):
            read_scene(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(DatasetError, match=r"pile_00000001\.npz"):
        read_scene(path)


def test_another_format_version_is_named(tmp_path: Path) -> None:
    DatasetWriter(tmp_path, {})
    header = tmp_path / "dataset.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "version": 99}))
    with pytest.raises(DatasetError, match="version 99"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="version 99"):
        DatasetWriter(tmp_path, {})


def test_a_folder_without_a_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        open_dataset(tmp_path)


def test_data_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GIGA_DATA", raising=False)
    assert data_root() == tmp_path / ".cache" / "giga"
    monkeypatch.setenv("GIGA_DATA", str(tmp_path / "elsewhere"))
    assert data_root() == tmp_path / "elsewhere"
