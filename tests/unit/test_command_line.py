"""The `giga` command: its help is light, its errors are sentences."""

from __future__ import annotations

import subprocess
import sys

import pytest

from giga_bringup import command_line
from giga_bringup.errors import UserError

HEAVY_MODULES = ("torch", "open3d", "pybullet", "pinocchio", "rclpy", "matplotlib", "numpy", "scipy")


def run_giga(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "giga_bringup", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("verb", command_line.verb_names())
def test_help_of_every_verb_has_examples_and_imports_nothing_heavy(verb: str) -> None:
    probe = (
        "import sys; from giga_bringup.command_line import build_parser;"
        f"print(build_parser([{verb!r}]).format_help()); verb = build_parser([{verb!r}]);"
        f"heavy = [name for name in {HEAVY_MODULES!r} if name in sys.modules]; print('HEAVY', heavy)"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "HEAVY []" in answer.stdout
    helped = run_giga(verb, "--help")
    assert helped.returncode == 0, helped.stderr
    assert "examples:" in helped.stdout
    assert f"./giga {verb}" in helped.stdout


def test_help_lists_every_verb() -> None:
    helped = run_giga("--help")
    assert helped.returncode == 0
    for verb in command_line.verb_names():
        assert f"\n    {verb}" in helped.stdout


def test_an_unknown_verb_is_one_sentence_that_lists_the_known_ones() -> None:
    answer = run_giga("fly")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "'fly'" in answer.stderr
    assert "demo" in answer.stderr


def test_an_unknown_benchmark_is_one_sentence_that_lists_the_known_ones() -> None:
    answer = run_giga("benchmark", "speed_of_light")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "speed_of_light" in answer.stderr
    assert "clutter" in answer.stderr


def test_benchmark_help_is_the_benchmarks_own() -> None:
    answer = run_giga("benchmark", "clutter", "--help")
    assert answer.returncode == 0, answer.stderr
    assert "--json" in answer.stdout


def test_a_user_error_becomes_a_sentence_and_status_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise UserError("the table is on fire; put it out")

    monkeypatch.setattr(command_line.load_verb("doctor"), "run", fail)
    assert command_line.main(["doctor"]) == command_line.EXIT_USER_ERROR
    assert capsys.readouterr().err == "giga: the table is on fire; put it out\n"


def test_an_interrupt_ends_with_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line.load_verb("doctor"), "run", interrupted)
    assert command_line.main(["doctor"]) == command_line.EXIT_INTERRUPTED
