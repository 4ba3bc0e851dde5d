"""Runs set-up steps with progress on the terminal, the whole output in a log, and one clear sentence on failure."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from giga_bringup.errors import UserError

PROGRESS_PERIOD_S = 0.5
PLAIN_PROGRESS_PERIOD_S = 20.0  # where no terminal rewrites its line
TAIL_LINES = 8

NO_INDEX = "the package index cannot be reached; check the network or proxy and run it again"

# What a failing command prints, and what a person should do about it.
KNOWN_FAILURES = (
    ("No space left on device", "the disk is full; free at least 4 GB and run it again"),
    ("Failed to establish a new connection", NO_INDEX),
    ("Temporary failure in name resolution", NO_INDEX),
    ("Could not find a version", NO_INDEX),
    ("Read timed out", "the package index answers too slowly; run it again, it continues where it stopped"),
    ("Python.h: No such file", "the Python headers are missing; on Debian and Ubuntu: sudo apt install python3.11-dev"),
    ("ensurepip is not", "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3.11-venv"),
)


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Step:
    """One stage of the set-up: `before`, then each command, then `after`; its stamp holds `key`."""

    name: str
    text: str
    key: str
    commands: Sequence[Sequence[str]]
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing

    def is_done(self, stamps: Path) -> bool:
        """Whether it has ended well before, from the same ingredients."""
        stamp = stamps / self.name
        return stamp.is_file() and stamp.read_text() == self.key


def stage_key(by_content: Sequence[Path], by_name: Sequence[Path] = ()) -> str:
    """A hash over the content of some files and the mere names of others."""
    digest = hashlib.sha256()
    for file in by_content:
        digest.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
    for file in by_name:
        digest.update(str(file).encode() + b"\0")
    return digest.hexdigest()


def run_steps(steps: Sequence[Step], stamps: Path, environment: Mapping[str, str]) -> None:
    """Run those of the steps that are not done, side by side; raise UserError when one fails."""
    waiting = [step for step in steps if not step.is_done(stamps)]
    if not waiting:
        return
    run = _Run(stamps, environment)
    threads = [threading.Thread(target=run.carry_out, args=(step,), daemon=True) for step in waiting]
    for thread in threads:
        thread.start()
    try:
        _show_progress(waiting, threads, run)
    except KeyboardInterrupt:
        run.terminate()
        for thread in threads:
            thread.join()
        raise
    if run.failures:
        raise UserError(run.failures[0])


class _Run:
    """The state shared by the steps of one group: running processes, failures, how long each took."""

    def __init__(self, stamps: Path, environment: Mapping[str, str]) -> None:
        self.stamps = stamps
        self.environment = dict(environment)
        self.failures: list[str] = []
        self.seconds: dict[str, float] = {}
        self.processes: list[subprocess.Popen[bytes]] = []

    def log_of(self, step: Step) -> Path:
        return self.stamps / f"{step.name}.log"

    def carry_out(self, step: Step) -> None:
        started = time.monotonic()
        try:
            step.before()
            for command in step.commands:
                if not self._command(step, command):
                    return
            step.after()
            self.stamps.mkdir(parents=True, exist_ok=True)
            (self.stamps / step.name).write_text(step.key)
            self.seconds[step.name] = time.monotonic() - started
        except (OSError, subprocess.SubprocessError) as error:
            self.failures.append(f"setting up {step.text} failed: {error}")

    def _command(self, step: Step, command: Sequence[str]) -> bool:
        # The log is written afterwards: `venv --clear` clears the very folder in which it lies.
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self.environment,
        )
        self.processes.append(process)
        output, _ = process.communicate()
        self.stamps.mkdir(parents=True, exist_ok=True)
        with self.log_of(step).open("ab") as log:
            log.write(("$ " + " ".join(command) + "\n").encode() + output)
        if process.returncode != 0:
            self.failures.append(self._explain(step, output.decode(errors="replace")))
        return process.returncode == 0

    def _explain(self, step: Step, output: str) -> str:
        known = next((advice for sign, advice in KNOWN_FAILURES if sign in output), None)
        if known is not None:
            return f"setting up {step.text} failed: {known} (log: {self.log_of(step)})"
        tail = "\n  ".join(line for line in output.splitlines()[-TAIL_LINES:])
        return f"setting up {step.text} failed; the end of {self.log_of(step)}:\n  {tail}"

    def terminate(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()


def _show_progress(steps: Sequence[Step], threads: Sequence[threading.Thread], run: _Run) -> None:
    live = sys.stdout.isatty()
    names = " + ".join(step.text for step in steps)
    if not live:
        print(f"  {names} ...", flush=True)
    started = last_shown = time.monotonic()
    while any(thread.is_alive() for thread in threads):
        threads[0].join(PROGRESS_PERIOD_S) if threads[0].is_alive() else time.sleep(PROGRESS_PERIOD_S)
        now = time.monotonic()
        if live:
            print(f"\r\033[K  {names} ... {now - started:.0f} s", end="", flush=True)
        elif now - last_shown >= PLAIN_PROGRESS_PERIOD_S:
            last_shown = now
            print(f"    still at it after {now - started:.0f} s", flush=True)
    if live:
        print("\r\033[K", end="")
    for step in steps:
        if step.name in run.seconds:
            print(f"  {step.text}: done in {run.seconds[step.name]:.0f} s", flush=True)
