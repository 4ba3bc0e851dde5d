"""What every reader of a user's file needs: the error that names the file, and the first checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class InputFileError(ValueError):
    """A user's file cannot be used; the message names the file, says what is wrong and what to do."""


def check_is_file(path: Path, what: str) -> None:
    """Raise `InputFileError` unless ``path`` is a file; ``what`` says what it should hold."""
    if not path.exists():
        raise InputFileError(f"{path}: no such file ({what})")
    if not path.is_file():
        raise InputFileError(f"{path}: is a folder, not a file ({what})")


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file that should hold ``what``."""
    check_is_file(path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputFileError(f"{path}: is not JSON ({what}): {error}") from error
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror})") from error


def finite_numbers(path: Path, key: str, value: Any, count: int) -> NDArray[np.float64]:
    """The ``count`` finite numbers, however nested they are, as a flat array; ``key`` names them in errors."""
    try:
        array = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputFileError(f"{path}: {key} must be {count} number(s), evenly nested") from error
    if array.size != count:
        raise InputFileError(f"{path}: {key} must be {count} number(s), not {array.size}")
    if not np.isfinite(array).all():
        raise InputFileError(f"{path}: {key} holds a value that is not finite")
    return array
