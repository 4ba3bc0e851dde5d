"""`giga test`: lint, types, and every test; the unit tests also with NumPy 1.26."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from giga_bringup import checkout

SUMMARY = "run the linters and the tests (sets up what they need)"
EXAMPLES = """  ./giga test                       everything: lint, types, unit, unit with NumPy 1.26, ros, system
  ./giga test --fast                lint, types and unit tests only
  ./giga test --require-data        fail where ../shared/data is absent, instead of skipping
  ./giga test -- -k tsdf -x         hand the rest to pytest (no lint, one pytest run over all tests)"""

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
    stages: list[tuple[str, Sequence[str]]] = [
        ("lint", [python, "-m", "ruff", "check", *code]),
        ("format", [python, "-m", "ruff", "format", "--check", *code]),
        ("types", [python, "-m", "mypy"]),
        ("unit tests", [*pytest, "tests/unit"]),
    ]
    if not args.fast:
        numpy_1_python = str(repository / ".venv-numpy1" / "bin" / "python")
        stages += [
            ("unit tests with NumPy 1.26", [numpy_1_python, *pytest[1:], "tests/unit"]),
            ("ros tests", [*pytest, "tests/ros"]),
            ("system tests", [*pytest, "tests/system"]),
        ]
    failed = [name for name, command in stages if not _passes(name, command, repository)]
    if failed:
        print(f"\ngiga test: failed: {', '.join(failed)}")
        return 1
    print("\ngiga test: all passed")
    return 0


def _passes(name: str, command: Sequence[str], repository: Path) -> bool:
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command, cwd=repository, check=False).returncode
    print(f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return status == 0
