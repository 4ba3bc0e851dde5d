"""`giga calibrate table` beside a running cell: camera topics, tf and robot_description over the real middleware."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("pybullet", reason="PyBullet is not installed")

from giga_bringup.command_line import main

pytestmark = pytest.mark.ros

CONFIG = Path(__file__).resolve().parents[2] / "config"


def sim_node(cell_file: Path) -> list[str]:
    parameters = {
        "cell_file": cell_file,
        "robot_file": CONFIG / "robots" / "panda.yaml",
        "lockstep": "false",
        "depth_noise": "false",
    }
    given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return [sys.executable, "-m", "giga_sim.sim_node", "--ros-args", *given]


def test_the_running_cell_has_its_table_where_it_says(ros_domain, start_process, tmp_path, capsys) -> None:
    process = start_process(sim_node(CONFIG / "cell.yaml"), "sim_node")
    picture = tmp_path / "table.png"
    assert main(["calibrate", "table", "--timeout", "60", "--picture", str(picture)]) == 0, process.output()
    output = capsys.readouterr().out
    process.stop()
    offset, tilt = re.search(r"offset +([-+\d.]+) mm", output), re.search(r"tilt +([\d.]+) deg", output)
    assert abs(float(offset[1])) <= 1.0
    assert float(tilt[1]) <= 0.1
    assert "note:" not in output  # the robot's description and transforms were all there
    assert "--child-frame-id camera_depth_optical_frame" in output
    assert f"{CONFIG / 'cell.yaml'}:" in output
    assert picture.stat().st_size > 0


def test_without_a_camera_there_is_one_sentence(ros_domain, capsys) -> None:
    assert main(["calibrate", "table", "--topic", "/nobody/depth/image_rect", "--timeout", "0.5"]) == 2
    error = capsys.readouterr().err
    assert "/nobody/depth/image_rect" in error
    assert "0 publishers" in error
    assert error.count("\n") == 1
