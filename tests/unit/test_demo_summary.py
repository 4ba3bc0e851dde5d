"""The figures of the demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from giga_bringup.demo_summary import Attempt, Round, Summary, attempt_line, summary_text, wilson_interval, write_json


def attempt(number: int, success: bool, planning_ms: float = 100.0) -> Attempt:
    return Attempt(
        number=number,
        success=success,
        outcome=1 if success else -28,
        message="" if success else "the fingers closed on nothing",
        quality=0.9,
        width_m=0.04,
        measured_width_m=0.042,
        candidates=7,
        detection_ms=300.0,
        planning_ms=planning_ms,
    )


SUMMARY = Summary(
    scene="packed",
    model="giga",
    rounds=(
        Round(1, ("box", "can"), (attempt(1, True, 100.0), attempt(2, True, 300.0)), "no_grasps", ""),
        Round(2, ("box", "can", "cup"), (attempt(1, False), attempt(2, False)), "consecutive_failures", "two in a row"),
    ),
)


def test_rates_are_over_attempts_and_over_objects(tmp_path: Path) -> None:
    write_json(tmp_path / "figures.json", SUMMARY)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["objects"], figures["attempts"], figures["successes"]) == (5, 4, 2)
    assert figures["gsr"] == pytest.approx(0.5)
    assert figures["dr"] == pytest.approx(0.4)
    assert figures["planning_ms"] == pytest.approx(150.0)
    assert figures["seeds"] == [1, 2]
    assert [each["successes"] for each in figures["rounds"]] == [2, 0]
    assert figures["rounds"][1]["attempt_list"][0]["message"] == "the fingers closed on nothing"
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]


def test_nothing_to_count_is_no_rate() -> None:
    empty = Summary("pile", "giga", (Round(1, (), (), "no_grasps", ""),))
    assert (empty.gsr, empty.dr, empty.planning_ms) == (None, None, None)
    assert "grasp success rate  -" in summary_text(empty)


def test_text_says_the_same() -> None:
    text = summary_text(SUMMARY)
    assert "50.0%" in text
    assert "1.00 of 2.50" in text
    assert "lifted, 42 mm between the pads" in attempt_line(SUMMARY.attempts[0])
    assert "failed: the fingers closed on nothing" in attempt_line(SUMMARY.attempts[2])


def test_wilson_interval_against_the_published_example() -> None:
    # 81 of 263: Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx([0.2553, 0.3662], abs=5e-5)
    assert wilson_interval(0, 0) is None
