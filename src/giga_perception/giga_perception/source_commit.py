"""Which commit made something: what a model, a data set or a result says of its origin."""

from __future__ import annotations

import subprocess
from pathlib import Path


def source_commit() -> str:
    """The commit of the checkout this code runs from, "-modified" behind it when files differ; else "unknown"."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "."],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-modified" if changes else commit
