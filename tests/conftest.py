"""Fixtures for every test: the data folder, an own ROS domain, processes that never outlive their test."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
POLL_PERIOD_S = 0.02
TERMINATION_GRACE_S = 10.0

WaitFor = Callable[..., None]
StartProcess = Callable[..., "ProcessHandle"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-data",
        action="store_true",
        help="fail, instead of skipping, the tests that want ../shared/data when it is absent",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of the folder it lies in, so that `-m unit` means tests/unit."""
    for item in items:
        folder = Path(item.fspath).relative_to(REPOSITORY / "tests").parts[0]
        if folder in ("unit", "ros", "system"):
            item.add_marker(getattr(pytest.mark, folder))


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """The development data beside the checkout; the project itself works without it."""
    if not SHARED_DATA.is_dir():
        reason = "../shared/data is not here: parity with the authors' code cannot be checked on this machine"
        if request.config.getoption("--require-data"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_DATA


def _claim_domain() -> tuple[int, IO[str]]:
    """A ROS domain that no other test run of this user holds, and the locked file that keeps it so."""
    folder = Path("/tmp") / f"giga-test-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    first = 1 + os.getpid() % 100
    for offset in range(100):
        domain = 1 + (first + offset) % 100  # domains up to 101 keep clear of the ephemeral ports
        lock = (folder / str(domain)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return domain, lock
    pytest.fail("all 100 ROS domains are taken by other test runs on this machine")


@pytest.fixture(scope="module")
def ros_domain() -> Iterator[int]:
    """Set a ROS_DOMAIN_ID of this test module's own; nodes of parallel runs never meet."""
    before = {name: os.environ.get(name) for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
    domain, lock = _claim_domain()
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    yield domain
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    lock.close()


@dataclass(frozen=True)
class ProcessHandle:
    """A running process: its Popen and the file that holds all it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Ask the process group to end, then kill what is left; return the exit status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal_number)
            try:
                self.process.wait(TERMINATION_GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


@pytest.fixture(scope="module")
def start_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartProcess]:
    """Start processes in groups of their own; whatever still runs at the end of the module is ended."""
    handles: list[ProcessHandle] = []

    def start(argv: list[str], name: str, env: dict[str, str] | None = None) -> ProcessHandle:
        log = tmp_path_factory.mktemp(name) / "output.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                argv,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            )
        handle = ProcessHandle(name, process, log)
        handles.append(handle)
        return handle

    yield start
    for handle in reversed(handles):
        handle.stop()


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with seeded random weights: for tests in which what is detected does not matter."""
    import torch

    from giga_perception import Giga, save_model

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(file, Giga(), {"name": "random"})
    return file


@pytest.fixture(scope="session")
def wait_for() -> WaitFor:
    """Poll a condition until it holds; fail with `what` when it does not in time."""

    def wait(condition: Callable[[], object], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
            time.sleep(POLL_PERIOD_S)

    return wait
