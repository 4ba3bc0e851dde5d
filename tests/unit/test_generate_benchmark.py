"""`giga benchmark generate`: what it prints and writes, and what it says to wrong options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from giga_bringup.command_line import main as giga
from giga_sim.gripper_hand import hand_urdf

SMALL = ["benchmark", "generate", "--scene", "packed", "--points", "3", "--trials", "10", "--seed", "900001"]


def test_a_small_run_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "generate.json"
    assert giga([*SMALL, "--hand", str(hand_urdf()), "--json", str(file)]) == 0
    assert "times as many" in capsys.readouterr().out
    report = json.loads(file.read_text())
    assert report["hand"] == hand_urdf().name
    assert report["table"] == "our own"
    assert set(report["results"]) == {"packed", "all"}
    figures = report["results"]["all"]
    assert figures["trials"] == 18
    assert figures["points"] == 3
    assert 0.0 <= figures["agreement_percent"] <= 100.0
    assert figures["ratio"] == pytest.approx(figures["fast_points_a_cpu_s"] / figures["reference_points_a_cpu_s"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--hand", "no/such/hand.urdf"], "no/such/hand.urdf is no file"),
        (["--scene", "shelf"], "unknown scene 'shelf'"),
        (["--objects", "no/such/folder"], "no/such/folder"),
        (["--trials", "0"], "at least 1"),
    ],
)
def test_wrong_options_are_named(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["benchmark", "generate", *options]) == 2
    assert sentence in capsys.readouterr().err
