"""`giga test`: lint, types, and every test; the unit tests also with NumPy 1.26."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from giga_bringup import checkout

SUMMARY = "run the linters and the tests (sets up what they need)"
EXAMPLES = """  ./giga test                       everything: lint, types, unit, unit with NumPy 1.26, ros, system
  ./giga test --fast                lint, types and unit tests only
  ./giga test --require-data        fail where ../shared/data is absent, instead of skipping
  ./giga test -- -k tsdf -x         hand the rest to pytest (no lint, one pytest run over all tests)"""

Stage = tuple[str, Sequence[str]]
"""Its name and its command."""

PYTHON_CODE = ("giga", "src", "underlay/src", "launch", "tests", "benchmarks", "examples")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fast", action="store_true", help="only lint, types and unit tests")
    parser.add_argument("--require-data", action="store_true", help="fail where ../shared/data is absent")
    parser.add_argument("pytest_arguments", nargs="*", metavar="-- ARGS", help="arguments for pytest")


def run(args: argparse.Namespace) -> int:
    repository = checkout.repository()
    python = sys.executable
    pytest = [python, "-m", "pytest", *(["--require-data"] if args.require_data else [])]
    if args.pytest_arguments:
        return subprocess.run([*pytest, *args.pytest_arguments], cwd=repository, check=False).returncode
    code = [folder for folder in PYTHON_CODE if (repository / folder).exists()]
    unit_tests = ("unit tests", [*pytest, "tests/unit"])
    stages: list[Stage] = [
        ("lint", [python, "-m", "ruff", "check", *code]),
        ("format", [python, "-m", "ruff", "format", "--check", *code]),
        ("types", [python, "-m", "mypy"]),
    ]
    if args.fast:
        failed = [name for name, command in [*stages, unit_tests] if not _passes(name, command, repository)]
    else:
        numpy_1_python = str(repository / ".venv-numpy1" / "bin" / "python")
        with_numpy_1 = ("unit tests with NumPy 1.26", [numpy_1_python, *pytest[1:], "tests/unit"])
        failed = [name for name, command in stages if not _passes(name, command, repository)]
        failed += _pass_side_by_side(unit_tests, with_numpy_1, repository)
        # Real nodes talk to each other here, with time-outs: nothing else beside them.
        stages = [("ros tests", [*pytest, "tests/ros"]), ("system tests", [*pytest, "tests/system"])]
        failed += [name for name, command in stages if not _passes(name, command, repository)]
    if failed:
        print(f"\ngiga test: failed: {', '.join(failed)}")
        return 1
    print("\ngiga test: all passed")
    return 0


def _pass_side_by_side(first: Stage, second: Stage, repository: Path) -> list[str]:
    """Runs both at once, each with one thread; what the second says is shown afterwards. The names of those failed."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    (name, command), started = second, time.monotonic()
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(command, cwd=repository, env=one_thread, stdout=said, stderr=subprocess.STDOUT)
        try:
            failed = [] if _passes(*first, repository, one_thread) else [first[0]]
            print(f"\n== {name} (began with the former)", flush=True)
            status = beside.wait()
        finally:
            beside.kill()
            beside.wait()
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
    print(f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return failed if status == 0 else [*failed, name]


def _passes(name: str, command: Sequence[str], repository: Path, environment: Mapping[str, str] | None = None) -> bool:
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command, cwd=repository, env=environment, check=False).returncode
    print(f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return status == 0
