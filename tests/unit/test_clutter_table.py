"""`giga benchmark clutter-table`: what stands in a row, and that only what compares shares a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from giga_bringup.command_line import main as giga

RESULT: dict[str, Any] = {
    "protocol": "P1",
    "label": "ours fast",
    "model": "shipped",
    "mode": "fast",
    "scene": "pile",
    "object_set": "parametric",
    "split": "test",
    "object_count": 5,
    "seeds": [0, 1],
    "gsr_percent": 81.25,
    "gsr_interval_percent": [74.2, 87.7],
    "dr_percent": 68.75,
    "dr_interval_percent": [59.2, 78.4],
    "ends": {"cleared": 13, "refused": 14},
    "median_detection_ms": 52.66,
    "rounds": [{}, {}],
}
OVER_SEEDS = {
    "label": "ours careful",
    "first_seeds": [0, 1000, 2000],
    "rounds_per_first_seed": 100,
    "gsr_mean_percent": 83.04,
    "gsr_std_percent": 1.23,
    "dr_mean_percent": 70.0,
    "dr_std_percent": 2.0,
}


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    def store(name: str, **changes: Any) -> str:
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({**RESULT, **changes}))
        return str(file)

    return store


def test_a_row_says_rates_intervals_spread_ends_and_time(stored: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["benchmark", "clutter-table", stored("one"), stored("two", **OVER_SEEDS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "**Protocol P1, 5 objects a round, parametric (test)**" in lines
    assert "| ours fast | pile | 81.2 (74.2 to 87.7) | 68.8 (59.2 to 78.4) | 2 | refused 14, cleared 13 | 53 |" in lines
    assert any("| 81.2 (74.2 to 87.7), 83.0 ± 1.2 |" in line and "| 3 x 100 |" in line for line in lines)


def test_results_of_two_protocols_never_share_a_table(stored: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files = [stored("one"), stored("two", protocol="P2"), stored("three", scene="packed"), stored("four", split="val")]
    assert giga(["benchmark", "clutter-table", *files]) == 0
    text = capsys.readouterr().out
    tables = text.split("**Protocol")[1:]
    assert [table.count("| ours fast |") for table in tables] == [2, 1, 1]
    assert "do not compare" in text
    assert tables[0].index("| packed |") < tables[0].index("| pile |")


def test_table_and_plot_are_written(stored: Any, tmp_path: Path) -> None:
    table, plot = tmp_path / "table.md", tmp_path / "plot.png"
    files = [stored("one"), stored("two", scene="packed"), stored("three", protocol="P2", gsr_percent=0.0)]
    assert giga(["benchmark", "clutter-table", *files, "--markdown", str(table), "--plot", str(plot)]) == 0
    assert table.read_text().count("| ours fast |") == 3
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_results_from_before_labels_were_stored_are_named_by_model_and_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps({name: value for name, value in RESULT.items() if name != "label"}))
    assert giga(["benchmark", "clutter-table", str(file)]) == 0
    assert "| shipped fast | pile |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON file"),
        ("[]", "it lacks protocol"),
        ('{"scene": "pile"}', "it lacks"),
    ],
)
def test_another_file_is_a_sentence(
    content: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    if content is not None:
        file.write_text(content)
    assert giga(["benchmark", "clutter-table", str(file)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "giga benchmark clutter --json" in error


def test_an_unknown_kind_of_picture_is_a_sentence(
    stored: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert giga(["benchmark", "clutter-table", stored("one"), "--plot", str(tmp_path / "plot.txt")]) == 2
    assert "cannot be written" in capsys.readouterr().err
