"""The public face of giga_perception: every name resolves, and importing the package alone costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import giga_perception


@pytest.mark.parametrize("name", giga_perception.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(giga_perception, name) is not None


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = giga_perception.no_such_name  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    check = "import sys, giga_perception; print([name for name in ('torch', 'open3d', 'numpy') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
