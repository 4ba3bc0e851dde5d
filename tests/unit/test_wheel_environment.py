"""Set-up stages: done once, continued after a failure, explained in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from giga_bringup import setup_requirements, wheel_environment
from giga_bringup.errors import UserError
from giga_bringup.setup_steps import Step, run_steps, stage_key

REPOSITORY = Path(__file__).resolve().parents[2]


def step(command: list[str], key: str = "a") -> Step:
    return Step(name="probe", text="a probe", key=key, commands=(command,))


def test_a_step_runs_once_and_again_only_when_its_ingredients_change(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = ["sh", "-c", f"echo x >> {ran}"]
    for key in ("a", "a", "b"):
        run_steps([step(command, key)], tmp_path / "stamps", os.environ)
    assert ran.read_text() == "x\nx\n"


def test_a_failed_step_is_tried_again(tmp_path: Path) -> None:
    stamps = tmp_path / "stamps"
    with pytest.raises(UserError, match="setting up a probe failed"):
        run_steps([step(["sh", "-c", "echo broken; exit 3"])], stamps, os.environ)
    assert not step([]).is_done(stamps)
    run_steps([step(["true"])], stamps, os.environ)
    assert step([]).is_done(stamps)


@pytest.mark.parametrize(
    ("printed", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Failed to establish a new connection: [Errno 101]", "check the network"),
        ("fatal error: Python.h: No such file or directory", "python3.11-dev"),
    ],
)
def test_known_failures_say_what_to_do(tmp_path: Path, printed: str, advice: str) -> None:
    with pytest.raises(UserError, match=advice):
        run_steps([step(["sh", "-c", f"echo '{printed}'; exit 1"])], tmp_path / "stamps", os.environ)


def test_the_key_follows_content_and_names(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("a==1\n")
    before = stage_key([file])
    assert stage_key([file], [tmp_path / "new.yaml"]) != before
    file.write_text("a==2\n")
    assert stage_key([file]) != before


def test_baked_in_paths_are_pointed_at_this_python(tmp_path: Path) -> None:
    export = tmp_path / "share" / "rosidl" / "cmake" / "some_pyExport.cmake"
    export.parent.mkdir(parents=True)
    export.write_text(
        "/opt/python/cp311-cp311/include/python3.11;"
        "/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include;/usr/include"
    )
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    wheel_environment.mend_wheel_paths(tmp_path, tmp_path / "lib")
    folders = export.read_text().split(";")
    assert folders[2] == "/usr/include"
    assert Path(folders[0]).is_dir()
    assert (Path(folders[1]) / "numpy" / "arrayobject.h").is_file()


def test_a_machine_without_a_compiler_gets_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_requirements.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    want = setup_requirements.tool_want()
    assert want is not None
    assert "build-essential cmake" in want


def test_a_full_disk_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_requirements, "DISK_NEEDED_GB", 1e9)
    want = setup_requirements.disk_want(tmp_path)
    assert want is not None
    assert str(tmp_path) in want


def test_without_python_3_11_the_sentence_tells_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_requirements, "find_python", lambda: None)
    with pytest.raises(UserError, match=r"Ubuntu 22\.04 and 24\.04"):
        setup_requirements.check_machine(tmp_path)


def test_a_moved_checkout_is_not_taken_for_complete(tmp_path: Path) -> None:
    layout = wheel_environment.Layout(tmp_path)
    layout.python.parent.mkdir(parents=True)
    layout.python.touch()
    layout.stamps.mkdir()
    (layout.stamps / "venv").write_text("/somewhere/else/.venv")
    assert not wheel_environment.is_complete(layout, for_tests=False)


def test_help_needs_no_environment(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "giga_bringup").symlink_to(REPOSITORY / "src" / "giga_bringup")
    script = tmp_path / "giga"
    script.write_bytes((REPOSITORY / "giga").read_bytes())
    answer = subprocess.run([sys.executable, "-I", str(script), "--help"], capture_output=True, text=True, check=True)
    assert "demo" in answer.stdout
    assert not (tmp_path / ".venv").exists()
