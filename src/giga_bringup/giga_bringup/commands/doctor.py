"""`giga doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from giga_bringup import checkout, setup_requirements, wheel_environment

SUMMARY = "say what is installed, what is missing, and how to get it"
EXAMPLES = """  ./giga doctor                     look at this machine; exit status 0 when the stack can run"""

# Imported one by one: what each is for is what a person wants to know when it is missing.
MODULES = (
    ("rclpy", "ROS 2"),
    ("giga_msgs.msg", "this stack's messages"),
    ("control_msgs.action", "controller actions"),
    ("franka_msgs.action", "Franka gripper actions"),
    ("torch", "the network"),
    ("open3d", "TSDF fusion"),
    ("pybullet", "the simulation"),
    ("pinocchio", "kinematics"),
    ("coal", "collision checks"),
    ("ompl", "motion planning"),
    ("ruckig", "trajectory timing"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # no options


def run(args: argparse.Namespace) -> int:
    del args
    repository = checkout.repository()
    layout = wheel_environment.Layout(repository)
    print("This machine")
    healthy = _show_machine(repository)
    print("Environment")
    healthy = _show_environment(layout) and healthy
    print("Models and data")
    healthy = _show_data(repository) and healthy
    print("Full ROS (optional)")
    _show_full_ros()
    print("\nAll is well." if healthy else "\nSomething is missing: see the lines marked with !")
    return 0 if healthy else 1


def _line(good: bool | None, text: str) -> bool:
    print(f"  {' ' if good is None else '+' if good else '!'} {text}")
    return good is not False


def _show_machine(repository: Path) -> bool:
    python = setup_requirements.find_python()
    results = [_line(python is not None, f"Python 3.11: {python}" if python else setup_requirements.GET_PYTHON)]
    if python is not None:
        want = setup_requirements.python_want(python)
        results.append(_line(want is None, want or "Python's venv module and headers"))
    want = setup_requirements.tool_want()
    results.append(_line(want is None, want or "C++ compiler and cmake"))
    want = setup_requirements.disk_want(repository)
    free_gb = shutil.disk_usage(repository).free / 1e9
    results.append(_line(want is None, want or f"disk: {free_gb:.0f} GB free"))
    return all(results)


def _show_environment(layout: wheel_environment.Layout) -> bool:
    if not layout.python.exists():
        return _line(False, f"{layout.venv} is not made yet: any verb makes it, for example ./giga demo")
    complete = wheel_environment.is_complete(layout, for_tests=False)
    results = [
        _line(complete, f"{layout.venv}" + ("" if complete else " is unfinished or out of date: ./giga demo mends it"))
    ]
    for module, purpose in MODULES:
        answer = subprocess.run(
            [str(layout.python), "-c", f"import {module}"],
            capture_output=True,
            text=True,
            env=wheel_environment.environment_of(layout.repository),
            check=False,
        )
        error = answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else "no message"
        good = answer.returncode == 0
        text = f"{purpose}: {module.split('.')[0]}"
        trouble = f"{text} does not import ({error}): rm -rf .venv and run any verb"
        results.append(_line(good, text if good else trouble))
    return all(results)


def _show_data(repository: Path) -> bool:
    shipped = repository / "src" / "giga_perception" / "giga_perception" / "weights" / "giga.safetensors"
    model = Path(os.environ.get("GIGA_MODEL", shipped))
    good = _line(
        model.is_file(), f"model: {model}" + ("" if model.is_file() else " is missing: ./giga train makes one")
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    data = Path(os.environ.get("GIGA_DATA") or cache / "giga")
    folders = sorted(folder.name for folder in data.iterdir() if folder.is_dir()) if data.is_dir() else []
    _line(None, f"data sets in {data}: {', '.join(folders) or 'none'} (GIGA_DATA moves it; ./giga generate makes them)")
    return good


def _show_full_ros() -> None:
    distributions = sorted(path.name for path in Path("/opt/ros").glob("*")) if Path("/opt/ros").is_dir() else []
    found = f"found {', '.join(distributions)} in /opt/ros" if distributions else "no ROS install in /opt/ros"
    _line(None, f"{found}; `colcon build` in this checkout needs Jazzy, the wheel environment needs none")
    for name in ("colcon", "ros2"):
        _line(None, shutil.which(name) or f"no {name} on the PATH")
