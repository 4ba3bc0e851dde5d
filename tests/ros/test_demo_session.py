"""The demo around a fake cell: launch file, processes, services and action are real, the nodes are not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from giga_bringup import demo, demo_session
from giga_bringup.demo import DemoRequest
from giga_bringup.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
NODES = {
    "giga_sim": ["sim_node"],
    "giga_perception": ["perception_node"],
    "giga_grasping": ["embedded_planner_node", "executor_node", "safety_node"],
}


@pytest.fixture
def fake_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ros_domain: int) -> None:
    """An install prefix whose executables are fakes and whose launch files are ours."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    fake = Path(__file__).with_name("fake_cell.py").read_text()
    for package in [*NODES, "giga_bringup"]:
        (index / package).write_text("")
        (tmp_path / "share" / package).mkdir()
        (tmp_path / "lib" / package).mkdir(parents=True)
        for name in NODES.get(package, ()):
            (tmp_path / "lib" / package / name).write_text(f"#!{sys.executable}\n{fake}")
            (tmp_path / "lib" / package / name).chmod(0o755)
    for folder in ("launch", "config"):
        shutil.copytree(REPOSITORY / folder, tmp_path / "share/giga_bringup" / folder)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.delenv("GIGA_REPOSITORY", raising=False)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the picture would have been made of; drawing it has tests of its own."""
    calls: list[Any] = []
    monkeypatch.setattr(demo, "write_picture", lambda *arguments: calls.append(arguments))
    return calls


def run(tmp_path: Path, **changes: Any) -> demo.Summary:
    request = {
        "scene": "packed",
        "objects": 2,
        "seed": 3,
        "rounds": 2,
        "gui": False,
        "json": tmp_path / "figures.json",
        "picture": tmp_path / "picture.png",
    }
    return demo.run_demo(DemoRequest(**(request | changes)), 0, tmp_path / "nodes.log")


def running(log: Path) -> list[str]:
    """The processes that the log says were started and that are still there."""
    pids = [part.split("]")[0] for part in log.read_text().split("process started with pid [")[1:]]
    assert pids, log.read_text()
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_rounds_are_run_printed_and_written(fake_cell, drawn, tmp_path: Path, capsys) -> None:
    summary = run(tmp_path)
    assert [each.seed for each in summary.rounds] == [3, 4]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["objects"], figures["attempts"], figures["successes"]) == (4, 6, 2)
    assert figures["model"] == "fake"
    assert figures["planning_ms"] == pytest.approx(100.0)
    printed = capsys.readouterr().out
    assert f"ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']} " in printed
    assert printed.count("planning 100 ms): failed: the fingers closed on nothing") == 2
    assert "ended by consecutive failures" in printed
    [(path, scene, picked, title)] = drawn
    assert path == tmp_path / "picture.png"
    assert scene.image.header.stamp.sec == 1  # the first scene's, not an older or newer one
    assert scene.T_camera_workspace.translation[2] == pytest.approx(-0.6)
    assert scene.T_workspace_base.translation[0] == pytest.approx(-0.35)
    assert len(picked) == 1
    assert title == "packed scene of seed 3: 1 of 2 picked"
    assert not running(tmp_path / "nodes.log")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "perception_dies",
            r"perception_node died \(exit code 1\)(?s:.*)the model file /nowhere.safetensors is corrupt",
        ),
        ("planner_is_silent", r"embedded_planner_node did not offer /set_scene within 20 s(?s:.*)here I am"),
        ("cannot_detect", r"perception_node cannot detect grasps: (?s:.*)there is no model file /nowhere.safetensors"),
        ("clear_fails", r"clearing the table ended before its end \(error\): not ready, missing: the gripper"),
        ("clear_hangs", r"executor_node ended no attempt within 2 s(?s:.*)here I am"),
    ],
)
def test_what_goes_wrong_is_named(
    fake_cell, drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    monkeypatch.setenv("FAKE_CELL", fault)
    monkeypatch.setattr(demo_session, "READY_TIMEOUT_S", 20.0 if fault == "planner_is_silent" else 60.0)
    monkeypatch.setattr(demo_session, "ATTEMPT_TIMEOUT_S", 2.0)
    with pytest.raises(UserError, match=words):
        run(tmp_path)
    log = tmp_path / "nodes.log"
    assert not running(log)
    if fault == "clear_hangs":
        assert "the goal was canceled" in log.read_text()


def test_a_scene_that_the_simulator_refuses(fake_cell, drawn, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="could not set the packed scene of seed -1: a fake cell knows no seed below zero"
    ):
        run(tmp_path, seed=-1)


@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_outlives_the_demo(
    fake_cell, start_process, wait_for, monkeypatch: pytest.MonkeyPatch, signal_number: int, status: int
) -> None:
    monkeypatch.setenv("FAKE_CELL", "clear_hangs")
    handle = start_process([sys.executable, "-m", "giga_bringup", "demo"], "demo")
    wait_for(lambda: "Round 1 of 1" in handle.output(), 60.0, "the first round")
    os.kill(handle.process.pid, signal_number)
    assert handle.process.wait(30) == status
    assert "Traceback" not in handle.output()
    log = Path(handle.output().split("output goes to ")[1].split()[0])
    wait_for(lambda: not running(log), 30.0, "every node to end")
