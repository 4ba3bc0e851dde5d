"""A launch file running in a child process: its log, who of it died, and its orderly end."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from giga_bringup.errors import UserError

# SIGINT, SIGTERM and SIGKILL of the nodes are 5 s apart each; after that the launcher itself is killed.
END_TIMEOUT_S = 20.0
TAIL_LINES = 12

_PR_SET_PDEATHSIG = 1
_DIED = re.compile(r"^\[ERROR\] \[(?P<label>\S+)\]: process has died .*exit code (?P<code>-?\d+)", re.MULTILINE)


class LaunchedStack:
    """`giga launch` as a child; use it as a context manager, which ends all nodes whatever happens."""

    def __init__(self, launch_file: str, arguments: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "giga_bringup", "launch", launch_file]
        self._command += [f"{name}:={value}" for name, value in arguments.items()]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._read_to = 0
        self._ending = False

    def __enter__(self) -> LaunchedStack:
        libc = ctypes.CDLL(None)
        with self.log.open("wb") as stream:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches this process alone, which then ends the child.
                start_new_session=True,
                # If this process is killed, the launcher gets a SIGTERM and ends its nodes.
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )
        return self

    def __exit__(self, *exception: object) -> None:
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def raise_if_dead(self) -> None:
        """Raise UserError, with the last lines that it printed, when a node or the launcher has ended."""
        assert self._process is not None
        text = self._new_output()
        died = _DIED.search(text)
        if died:
            node = died["label"].rpartition("-")[0]
            raise UserError(f"{node} died (exit code {died['code']}); {self.last_words(died['label'])}")
        if self._process.poll() is not None:
            raise UserError(f"the nodes have ended (exit code {self._process.returncode}); {self.last_words()}")

    def last_words(self, label: str = "") -> str:
        """The last lines of the log, of one process or of all, as the end of a sentence."""
        lines = self.log.read_text(errors="replace").splitlines()
        # A node's lines begin with [label], the launcher's about it with [LEVEL] [label].
        own = [line for line in lines if line.startswith(f"[{label}] ")] if label else lines
        tail = [line.removeprefix(f"[{label}] ") for line in own[-TAIL_LINES:]]
        body = "".join(f"\n    {line}" for line in tail) or " nothing"
        return f"its last lines in {self.log} are:{body}"

    def label_of(self, node: str) -> str:
        """The launcher's name for the process of a node, "" when it was not started."""
        found = re.search(rf"^\[INFO\] \[({re.escape(node)}-\d+)\]: process started", self._text(), re.MULTILINE)
        return found[1] if found else ""

    def _text(self) -> str:
        return self.log.read_text(errors="replace")

    def _new_output(self) -> str:
        """Whole lines printed since the last call."""
        with self.log.open("rb") as stream:
            stream.seek(self._read_to)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return whole.decode(errors="replace")
