"""The loop itself: `giga demo` on a small scene, and another terminal that asks for grasps meanwhile."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

# A small scene is cleared in well under a minute; a machine that does other things at the same time takes longer.
TIMEOUT_S = 600.0
FIGURES = ("objects", "attempts", "successes", "gsr", "dr", "planning_ms", "rounds")


@pytest.mark.timeout(900)
def test_one_round_from_start_to_end(ros_domain: int, start_process, wait_for, tmp_path: Path) -> None:
    figures_file, picture = tmp_path / "figures.json", tmp_path / "picture.png"
    argv = [sys.executable, "-m", "giga_bringup", "demo", "--objects", "2", "--seed", "1"]
    handle = start_process([*argv, "--json", str(figures_file), "--picture", str(picture)], "demo")

    def ready() -> bool:
        assert handle.process.poll() is None, handle.output()
        return "Ready." in handle.output()

    wait_for(ready, TIMEOUT_S, "the demo to be ready")
    command = re.search(r"^  (ROS_DOMAIN_ID=.*)$", handle.output(), re.MULTILINE)
    assert command, handle.output()
    client = subprocess.run(["env", *shlex.split(command[1])], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert client.returncode == 0, client.stderr
    assert re.search(r"^\d+ grasps in 'panda_link0'", client.stdout), client.stdout

    assert handle.process.wait(TIMEOUT_S) == 0, handle.output()
    output = handle.output()
    assert "Traceback" not in output
    figures = json.loads(figures_file.read_text())
    assert all(name in figures for name in FIGURES)
    assert 1 <= figures["objects"] <= 2
    assert figures["attempts"] >= 1, "detection finds something to grasp in a scene of two objects"
    assert math.isclose(figures["gsr"], figures["successes"] / figures["attempts"])
    assert figures["planning_ms"] > 0.0
    assert output.count("  attempt ") == figures["attempts"]
    assert picture.read_bytes().startswith(b"\x89PNG")

    log = Path(re.search(r"output goes to (\S+)", output)[1]).read_text()  # type: ignore[index]
    assert "Traceback" not in log
    for part in log.split("process started with pid [")[1:]:
        assert not Path(f"/proc/{part.split(']')[0]}").exists(), "every node has ended"
