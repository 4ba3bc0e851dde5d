"""Where the checkout lies that this package was installed from, for the verbs that work on it."""

from __future__ import annotations

from pathlib import Path

from giga_bringup.errors import UserError


def repository() -> Path:
    """The root of the checkout. Raises UserError for a package that was copied out of one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "giga").is_file():
        raise UserError(f"this works on a checkout, and {root} is none: run ./giga in the folder that you cloned")
    return root
