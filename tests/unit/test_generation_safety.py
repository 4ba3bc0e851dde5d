"""Generation that is killed, resumed, or spread over a cluster: the same scenes, none of them half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception.dataset import DatasetError, DatasetWriter, open_dataset, read_scene
from giga_perception.dataset_picture import occupancy_surface
from giga_perception.workspace import WORKSPACE_SIZE_M
from giga_sim.dataset_generation import GenerationPlan, generate_dataset
from giga_sim.label_generation import GenerationSettings
from giga_sim.ray_generation import LOCAL_CLUSTER, ClusterError

WaitFor = Callable[[Callable[[], object], float, str], None]
OPTIONS = ["--scene", "packed", "--points", "2", "--seed", "70"]


def plan_in(folder: Path, scene_count: int) -> GenerationPlan:
    return GenerationPlan(folder, scene_count, ("packed",), ("parametric",), 70, GenerationSettings(2))


def assert_equal_data(first: Path, second: Path) -> None:
    for one, other in zip(open_dataset(first), open_dataset(second), strict=True):
        assert one.seed == other.seed
        for name in ("depth_m", "centres_m", "rotations_xyzw", "widths_m", "successes", "occupancy"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def children_of(process_id: int) -> list[int]:
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(word) for word in text.split()]


def test_a_kill_loses_no_more_than_the_scenes_in_hand(tmp_path: Path, wait_for: WaitFor) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    argv = [sys.executable, "-m", "giga_bringup", "generate", "--scenes", "1000", "--workers", "2", *OPTIONS]
    process = subprocess.Popen([*argv, "--output", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list(killed.glob("*.npz"))) >= 3, 120.0, "three scenes")
        workers = children_of(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 30.0, "the workers' end")
    files = sorted(killed.glob("*.npz"))
    assert [read_scene(file).seed for file in files]  # each raises if it is damaged
    count = max(read_scene(file).seed for file in files) - 70 + 2
    ages = {file: file.stat().st_mtime_ns for file in files}
    assert (
        giga(["generate", "--resume", "--scenes", str(count), "--workers", "1", *OPTIONS, "--output", str(killed)]) == 0
    )
    assert {file: file.stat().st_mtime_ns for file in files} == ages
    generate_dataset(plan_in(whole, count), workers=1, time_limit_s=None, report=lambda result, left: None)
    assert len(open_dataset(whole)) >= len(files)
    assert_equal_data(killed, whole)
    assert giga(["data", "check", str(killed)]) == 0


@pytest.mark.parametrize("after_s", [0.0, 0.31, 0.83])
def test_a_kill_while_files_are_written_leaves_none_half(tmp_path: Path, wait_for: WaitFor, after_s: float) -> None:
    """A process that does nothing but write scenes: a kill at any moment meets it at some step of writing."""
    program = (
        "import sys, dataclasses\n"
        "from synthetic_scenes import box_scene\n"
        "from giga_perception.dataset import DatasetWriter\n"
        "scene, writer = box_scene(0, other_views=1), DatasetWriter(sys.argv[1], {})\n"
        "for seed in range(10**6): writer.write(dataclasses.replace(scene, seed=seed % 7))\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(argv, env=environment)
    try:
        wait_for(lambda: len(list(tmp_path.glob("*.npz"))) == 7, 60.0, "seven scenes")
        time.sleep(after_s)
    finally:
        process.kill()
        process.wait()
    assert [scene.seed for scene in open_dataset(tmp_path)] == list(range(7))  # each raises if it is damaged
    assert giga(["data", "check", str(tmp_path)]) == 0


def flipped(content: bytes, place: float) -> bytes:
    index = int(place * len(content))
    return content[:index] + bytes([content[index] ^ 0x10]) + content[index + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: flipped(content, 0.3),
        lambda content: flipped(content, 0.75),
        lambda content: content[:100] + bytes(64) + content[164:],
        lambda content: b"a letter to a friend\n" * 900,
        lambda content: b"\x89PNG\r\n\x1a\n" + content[8:],
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "half", "last byte", "flip", "later flip", "zeros", "text", "foreign head", "blank"],
)
def test_a_damaged_file_is_found_and_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    writer = DatasetWriter(tmp_path, {})
    files = [writer.write(box_scene(seed, other_views=1)) for seed in range(3)]
    files[1].write_bytes(damage(files[1].read_bytes()))
    assert giga(["data", "check", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert f"{files[1].name} is damaged" in captured.err
    assert files[0].name not in captured.err
    assert files[2].name not in captured.err
    assert "2 scenes" in captured.out
    assert "Traceback" not in captured.err


def test_no_flipped_bit_changes_a_scene_unnoticed(tmp_path: Path) -> None:
    path = DatasetWriter(tmp_path, {}).write(box_scene(1))
    whole, scene = path.read_bytes(), read_scene(path)
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path) as archive:
        heads = [member.header_offset + offset for member in archive.infolist() for offset in (0, 6, 8, 14, 18, 26, 30)]
    directory = range(len(whole) - 22 - 60, len(whole), 3)
    unnoticed = 0
    for index in [*heads, *directory, *rng.integers(len(whole), size=60)]:
        path.write_bytes(whole[:index] + bytes([whole[index] ^ (1 << int(rng.integers(8)))]) + whole[index + 1 :])
        try:
            found = read_scene(path)
        except DatasetError:
            continue
        unnoticed += 1  # in a time stamp, say
        for name in ("depth_m", "centres_m", "rotations_xyzw", "widths_m", "successes", "occupancy"):
            np.testing.assert_array_equal(getattr(found, name), getattr(scene, name), err_msg=f"{name}, byte {index}")
        assert (found.seed, found.object_names, found.split) == (scene.seed, scene.object_names, scene.split)
    assert unnoticed < 60


def test_a_copied_file_and_leftovers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = DatasetWriter(tmp_path, {})
    file = writer.write(box_scene(3))
    for name in ("pile_00000004.npz", "pile_00000003 (copy).npz"):
        (tmp_path / name).write_bytes(file.read_bytes())
    (tmp_path / ".pile_00000009.npz.77.tmp").write_bytes(b"half")
    assert writer.seeds_done() == {3, 4}
    assert giga(["data", "check", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "pile_00000004.npz holds the scene of pile_00000003.npz" in captured.err
    assert "(copy).npz holds the scene of pile_00000003.npz" in captured.err
    assert "1 temporary files" in captured.out


def test_a_folder_goes_on_with_other_views_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["generate", *OPTIONS, "--workers", "1", "--output", str(tmp_path)]
    assert giga([*argv, "--scenes", "1"]) == 0
    assert "other settings" not in capsys.readouterr().out
    assert giga([*argv, "--scenes", "2", "--random-views", "2", "--ring-views", "1"]) == 0
    assert "began with other settings (random_views 0, now 2; ring_views 0, now 1)" in capsys.readouterr().out
    assert [len(scene.other_views) for scene in open_dataset(tmp_path)] == [0, 3]
    files = sorted(tmp_path.glob("*.npz"))
    assert files[0].stat().st_size < 60_000
    assert giga(["data", "info", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "1 scenes with the side view only" in told
    assert "1 scenes with 4 views" in told
    assert giga([*argv, "--ring-views", "-1"]) == 2
    assert "from 0 to" in capsys.readouterr().err


def test_giga_data_draws_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, picture = tmp_path / "data", tmp_path / "pictures" / "data.png"
    writer = DatasetWriter(folder, {})
    assert giga(["data", "info", str(folder), "--picture", str(picture)]) == 2
    assert "holds no scene to draw" in capsys.readouterr().err
    for seed in range(3):
        writer.write(box_scene(seed))
    assert giga(["data", "info", str(folder), "--picture", str(picture), "--pictured", "2"]) == 0
    image = cv2.imread(str(picture))
    assert image is not None
    # Points that held are green, points that failed red.
    blue, green, red = (image[..., channel].astype(int) for channel in range(3))
    assert np.count_nonzero((green > red + 60) & (green > blue + 40)) > 50
    assert np.count_nonzero((red > green + 60) & (red > blue + 60)) > 50


def test_the_surface_of_the_occupancy_is_closed_and_as_large() -> None:
    scene = box_scene(2)
    mesh = trimesh.Trimesh(*occupancy_surface(scene.occupancy))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(scene.occupancy.mean() * WORKSPACE_SIZE_M**3, rel=0.1)
    assert len(occupancy_surface(np.zeros_like(scene.occupancy))[0]) == 0


def test_resume_needs_something_to_go_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["generate", "--resume", "--output", str(tmp_path / "nowhere")]) == 2
    assert "holds no data set" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_without_ray_a_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert giga(["generate", "--distributed", LOCAL_CLUSTER, "--scenes", "1", "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "pip install ray" in error
    assert "Traceback" not in error


def test_two_workers_of_a_ray_cluster_make_the_same_scenes(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is optional and not installed here")
    spread, alone = tmp_path / "spread", tmp_path / "alone"
    results = []
    for count in (3, 5):  # the second goes on where the first stopped
        generate_dataset(
            plan_in(spread, count),
            workers=2,
            time_limit_s=None,
            report=lambda result, left: results.append(result.task.seed),
            cluster=LOCAL_CLUSTER,
        )
    assert sorted(results) == [70, 71, 72, 73, 74]
    generate_dataset(plan_in(alone, 5), workers=1, time_limit_s=None, report=lambda result, left: None)
    assert_equal_data(spread, alone)


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is optional and not installed here")
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1"):
        generate_dataset(
            plan_in(tmp_path, 1), workers=1, time_limit_s=None, report=lambda result, left: None, cluster="127.0.0.1:1"
        )
