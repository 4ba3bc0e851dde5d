"""One process of a launch: started in a session of its own, its output passed on line by line, ended step by step."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from launch.action import Action

# How long a process may take to obey before the next harder signal, as in the real package.
SIGTERM_TIMEOUT_S = 5.0
SIGKILL_TIMEOUT_S = 5.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ProcessToRun:
    """What to run, and what to do when it ends."""

    label: str  # unique in the launch; what its output lines begin with
    command: tuple[str, ...]
    additional_env: dict[str, str]
    respawn: bool
    respawn_delay_s: float
    on_exit: Sequence[Action]


class RunningProcess:
    """A started process.

    `on_line` gets each line of its output and `on_end` its exit status, both from a thread of its own. It must be
    created in a thread that lives as long as the launch: Linux ends the child when the thread that started it ends.
    """

    def __init__(
        self,
        what: ProcessToRun,
        on_line: Callable[[str], None],
        on_end: Callable[[RunningProcess, int], None],
    ) -> None:
        self.what = what
        self._on_line = on_line
        self._on_end = on_end
        self._process = subprocess.Popen(
            what.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Unbuffered, so that the last words of a process that dies are not lost.
            env={**os.environ, "PYTHONUNBUFFERED": "1", **what.additional_env},
            # A session of its own: Ctrl-C in the terminal reaches the launcher alone, which then ends all in order.
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )
        self._escalation: list[threading.Timer] = []
        self._ended = False
        self._signal_lock = threading.Lock()
        threading.Thread(target=self._pump, name=f"output of {what.label}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        """Ask it to end: SIGINT now, SIGTERM and at last SIGKILL if it does not obey."""
        self._send(signal.SIGINT)
        for delay_s, signal_number in (
            (SIGTERM_TIMEOUT_S, signal.SIGTERM),
            (SIGTERM_TIMEOUT_S + SIGKILL_TIMEOUT_S, signal.SIGKILL),
        ):
            timer = threading.Timer(delay_s, self._escalate, [signal_number])
            timer.daemon = True
            timer.start()
            self._escalation.append(timer)

    def kill(self) -> None:
        """End it at once, with whatever it has started."""
        self._send(signal.SIGKILL)

    def _escalate(self, signal_number: signal.Signals) -> None:
        self._on_line(f"process has not ended yet: sending {signal_number.name}")
        self._send(signal_number)

    def _send(self, signal_number: signal.Signals) -> None:
        # Under the lock the process is not reaped, so its number cannot belong to anybody else yet.
        with self._signal_lock:
            if not self._ended:
                os.killpg(self._process.pid, signal_number)

    def _pump(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        watcher = threading.Thread(target=self._wait, name=f"end of {self.what.label}", daemon=True)
        watcher.start()
        for line in stream:
            self._on_line(line.decode(errors="replace").rstrip("\n"))
        watcher.join()
        self._on_end(self, self._process.returncode)

    def _wait(self) -> None:
        """Wait for the process itself; what it leaves behind in its group is killed, so that the output ends too."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._signal_lock:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._ended = True
            self._process.wait()
        for timer in self._escalation:
            timer.cancel()


def _die_with(parent_pid: int) -> Callable[[], None]:
    """What a child does before it becomes the program: ask Linux to kill it when its parent dies, even by SIGKILL."""

    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent died before the request was made
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child
