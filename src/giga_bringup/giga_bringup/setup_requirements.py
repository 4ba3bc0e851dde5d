"""What a machine must have before the environment can be made, each want with the sentence that cures it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from giga_bringup.errors import UserError

PYTHON_VERSION = (3, 11)
DISK_NEEDED_GB = 5.0
GET_PYTHON = (
    "Python 3.11 is needed (the ROS 2 wheels are made for it) and `python3.11` is not on the PATH. "
    "Debian 12: sudo apt install python3.11 python3.11-venv python3.11-dev. "
    "Ubuntu 22.04 and 24.04: sudo add-apt-repository ppa:deadsnakes/ppa && sudo apt install python3.11 python3.11-venv "
    "python3.11-dev. Anywhere: `uv python install 3.11` or `pyenv install 3.11`, then put it on the PATH as python3.11"
)


def check_machine(repository: Path) -> str:
    """Return the Python 3.11 to build on. Raises UserError naming the first thing that is missing."""
    wants = [sentence for sentence in (tool_want(), disk_want(repository)) if sentence]
    python = find_python()
    if python is None:
        raise UserError(GET_PYTHON)
    if not wants:
        wants = [sentence for sentence in (python_want(python),) if sentence]
    if wants:
        raise UserError(wants[0])
    return python


def find_python() -> str | None:
    """A Python 3.11 outside any virtual environment of ours, or None."""
    if sys.version_info[:2] == PYTHON_VERSION and sys.prefix == sys.base_prefix:
        return sys.executable
    candidates = [shutil.which("python3.11"), sys.executable if sys.version_info[:2] == PYTHON_VERSION else None]
    for candidate in candidates:
        if candidate and _runs(candidate):
            return candidate
    return None


def tool_want() -> str | None:
    """The sentence for a missing compiler or CMake, or None."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    missing = [name for name, found in (("a C++ compiler", compiler), ("cmake", shutil.which("cmake"))) if not found]
    if not missing:
        return None
    return (
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: the message types are compiled here. "
        "Debian and Ubuntu: sudo apt install build-essential cmake"
    )


def disk_want(repository: Path) -> str | None:
    """The sentence for a disk too full for a first set-up, or None."""
    if (repository / ".venv" / "giga-setup" / "runtime").exists():
        return None
    free_gb = shutil.disk_usage(repository).free / 1e9
    if free_gb >= DISK_NEEDED_GB:
        return None
    return f"{free_gb:.1f} GB are free where the checkout lies ({repository}), and {DISK_NEEDED_GB:g} GB are needed"


def python_want(python: str) -> str | None:
    """The sentence for a Python without its venv module or headers (Debian packages them apart), or None."""
    query = (
        "import importlib.util, os, sysconfig;"
        "header = os.path.join(sysconfig.get_path('platinclude'), 'Python.h');"
        "print(int(bool(importlib.util.find_spec('ensurepip'))), int(os.path.exists(header)))"
    )
    answer = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True)
    has_venv, has_headers = answer.stdout.split()
    packages = [name for name, has in (("python3.11-venv", has_venv), ("python3.11-dev", has_headers)) if has == "0"]
    if not packages:
        return None
    return f"{python} lacks {' and '.join(packages)}. Debian and Ubuntu: sudo apt install {' '.join(packages)}"


def _runs(python: str) -> bool:
    query = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", query], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.split() == [str(number) for number in PYTHON_VERSION]
