"""The file that an unfinished benchmark leaves: nothing that was over is lost, nothing of another run is mixed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from giga_sim.clutter_round import RoundResult
from giga_sim.clutter_rounds_file import RoundsFile, RoundsFileError, rounds_path

SETTINGS = {"kind": "pile", "threshold": 0.3, "split": None}
ROUNDS = [RoundResult(seed, 5, 6, 4, 1, 0, 1, "refused", (50.25, 0.1)) for seed in range(3)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = rounds_path(tmp_path / "pile.json")
    assert path.name == "pile.rounds.jsonl"
    with RoundsFile(path, SETTINGS) as rounds:
        for result in ROUNDS:
            rounds.append(result)
    return path


def test_the_next_run_finds_what_was_over_and_adds_to_it(file: Path) -> None:
    with RoundsFile(file, SETTINGS) as rounds:
        assert rounds.rounds == ROUNDS
        rounds.append(RoundResult(7, 1, 1, 1, 0, 0, 0, "cleared", ()))
    with RoundsFile(file, SETTINGS) as rounds:
        assert [result.seed for result in rounds.rounds] == [0, 1, 2, 7]
        rounds.remove()
    assert not file.exists()


def test_a_kill_at_any_byte_loses_the_last_round_only(file: Path) -> None:
    whole = file.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with RoundsFile(file, SETTINGS) as rounds:
            kept = max(0, sum(end <= length for end in ends) - 1)
            assert rounds.rounds == ROUNDS[:kept]
            rounds.append(ROUNDS[kept])
        with RoundsFile(file, SETTINGS) as rounds:
            assert rounds.rounds == ROUNDS[: kept + 1]


def test_other_settings_are_named(file: Path) -> None:
    other = {**SETTINGS, "threshold": 0.5, "policy": "highest"}
    with pytest.raises(RoundsFileError) as raised:
        RoundsFile(file, other)
    sentence = str(raised.value)
    assert "threshold was 0.3 and is 0.5" in sentence
    assert "policy was None and is 'highest'" in sentence
    assert "kind" not in sentence
    assert "delete it" in sentence


def test_damage_before_the_last_line_is_told(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b'{"seed": 0\n', *lines[2:]]))
    with pytest.raises(RoundsFileError, match="is damaged"):
        RoundsFile(file, SETTINGS)
    file.write_bytes(b"[1]\n")
    with pytest.raises(RoundsFileError, match="is damaged"):
        RoundsFile(file, SETTINGS)


def test_two_runs_never_write_one_file(file: Path) -> None:
    with RoundsFile(file, SETTINGS), pytest.raises(RoundsFileError, match="another run"):
        RoundsFile(file, SETTINGS)


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RoundsFileError, match="cannot be written"):
        RoundsFile(tmp_path, SETTINGS)
