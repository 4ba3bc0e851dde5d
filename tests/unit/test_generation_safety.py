"""Generation that is killed, resumed, or spread over a cluster: the same scenes, none of them half."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from giga_bringup.command_line import main as giga
from giga_perception.dataset import open_dataset, read_scene
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


def test_a_file_cut_short_is_found_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate_dataset(plan_in(tmp_path, 2), workers=1, time_limit_s=None, report=lambda result, left: None)
    victim = sorted(tmp_path.glob("*.npz"))[1]
    content = victim.read_bytes()
    for damaged in (content[: len(content) // 2], content[:100] + bytes(64) + content[164:]):
        victim.write_bytes(damaged)
        assert giga(["data", "check", str(tmp_path)]) == 1
        assert f"{victim.name} is damaged" in capsys.readouterr().err


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
