"""The rounds of a benchmark that is not finished yet: a file that a killed run leaves and the next one goes on with.

JSON lines. The first says what is measured, each further one is a round; a line is appended as soon as its round is
over, so a kill loses the rounds in hand only. Which seeds a run asks for does not stand there: a round depends on its
own seed and on the settings alone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from giga_sim.clutter_round import RoundResult


class RoundsFileError(Exception):
    """A rounds file cannot be gone on with; the message says why and what to do."""


def rounds_path(result: Path) -> Path:
    """Where the rounds lie until the result is written: pile.json -> pile.rounds.jsonl."""
    return result.with_suffix(".rounds.jsonl")


class RoundsFile:
    """The rounds that are over, in a file that this process alone writes. A context manager; closed, it stays."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Open the file, or begin it with these settings (of JSON's types).

        Raises RoundsFileError when it holds rounds of other settings, is damaged or cannot be written, or another
        process writes it.
        """
        self.path = path
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise RoundsFileError(f"{path} cannot be written ({error}): name another file with --json") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.rounds = self._read(settings)
        except BlockingIOError:
            self._file.close()
            raise RoundsFileError(
                f"{path} is being written by another run: wait for its end, or name another file with --json"
            ) from None
        except BaseException:
            self._file.close()
            raise

    def append(self, result: RoundResult) -> None:
        """Keep a round that is over."""
        self._write_line(asdict(result))
        self.rounds.append(result)

    def remove(self) -> None:
        """The result stands elsewhere: remove the file."""
        self.path.unlink()

    def __enter__(self) -> RoundsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self, settings: Mapping[str, Any]) -> list[RoundResult]:
        self._file.seek(0)
        content = self._file.read()
        # What stands behind the last end of a line was being written when the run was killed.
        whole = content[: content.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        lines = whole.splitlines()
        if not lines:
            self._write_line({"settings": dict(settings)})
            return []
        try:
            found = json.loads(lines[0])["settings"]
            rounds = [_round_of(json.loads(line)) for line in lines[1:]]
        except (ValueError, KeyError, TypeError) as error:
            raise RoundsFileError(
                f"{self.path} is damaged ({type(error).__name__}: {error}): delete it to begin anew, or name another "
                "file with --json"
            ) from error
        differing = [
            f"{name} was {found.get(name)!r} and is {settings.get(name)!r}"
            for name in dict.fromkeys([*found, *settings])
            if found.get(name) != settings.get(name)
        ]
        if differing:
            raise RoundsFileError(
                f"{self.path} holds {len(rounds)} rounds of a run with other settings ({'; '.join(differing)}): repeat "
                "its settings to go on with it, delete it to begin anew, or name another file with --json"
            )
        return rounds

    def _write_line(self, document: Mapping[str, Any]) -> None:
        # One call, so that a kill leaves a part of a line at most.
        self._file.write(json.dumps(document).encode() + b"\n")
        self._file.flush()


def _round_of(document: Mapping[str, Any]) -> RoundResult:
    return RoundResult(**{**document, "detection_ms": tuple(document["detection_ms"])})
