"""What perception_node tells on /diagnostics of its camera, its detections and its table."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from perception_bench import OPTICAL_FRAME, TIMEOUT_S, Bench, assert_ended_well, start_node
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import made_model, side_view_pose, table_view

from giga_perception.weights import save_model

pytestmark = pytest.mark.ros

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@pytest.fixture(scope="module")
def bench(ros_domain, start_process, tmp_path_factory):
    model_file = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(model_file, made_model(), {"name": "made"})
    process = start_node(start_process, model_file, table_check_period_s=0.1, transform_timeout_s=0.5)
    bench = Bench()
    yield bench
    bench.close()
    assert_ended_well(process)


def told(bench: Bench, wait_for, name: str, level: bytes, words: str = "") -> dict[str, str]:
    """The values of that status, once it is of this level and its message holds these words; images come meanwhile."""
    depth_m = table_view().depth_m

    def found() -> bool:
        bench.show(depth_m)
        status = bench.statuses().get(name)
        return status is not None and status.level == level and words in status.message

    wait_for(found, TIMEOUT_S, f"{name} at level {level!r} saying '{words}'")
    return {pair.key: pair.value for pair in bench.statuses()[name].values}


# In this order: no camera, a camera without its place, a camera at its place, a table elsewhere, a camera that is gone.


def test_without_a_camera(bench, wait_for):
    wait_for(
        lambda: bench.statuses().get("camera camera", DiagnosticStatus()).level == ERROR,
        TIMEOUT_S,
        "the camera's error",
    )
    assert "/camera/depth/image_rect_raw" in bench.statuses()["camera camera"].message
    assert bench.statuses()["detection"].level == OK


def test_a_camera_whose_place_nobody_knows(bench, wait_for):
    values = told(bench, wait_for, "camera camera", WARN, "tf does not know")
    assert values["seconds since the newest transform"] == "unknown"


def test_a_camera_at_its_place_and_what_is_detected(bench, wait_for):
    bench.place_cell()
    answer = bench.detect_in(table_view().depth_m)
    assert answer.success, answer.message
    values = told(bench, wait_for, "camera camera", OK)
    assert values["seconds since the newest transform"] == "static"
    assert float(values["images a second"]) > 0.0
    assert float(values["seconds since the newest image"]) >= 0.0
    values = told(bench, wait_for, "detection", OK, "grasps")
    assert values["model"] == "made"
    assert values["hidden by the robot"] == "not measured"
    for stage in ("integrate", "network", "selection", "total"):
        assert float(values[f"{stage} [ms]"]) > 0.0


def test_the_age_of_a_moving_camera_s_place(bench, wait_for):
    def seen() -> bool:
        stamp_ns = bench.show(table_view().depth_m, frame_id="moving_frame")
        bench.move("workspace", "moving_frame", side_view_pose().inv(), stamp_ns)
        status = bench.statuses()["camera camera"]
        ages = [pair.value for pair in status.values if pair.key == "seconds since the newest transform"]
        return bool(ages) and ages[0] not in ("static", "unknown") and 0.0 <= float(ages[0]) < TIMEOUT_S

    wait_for(seen, TIMEOUT_S, "an age in seconds")


def test_a_table_that_is_not_where_it_is_configured(bench, wait_for):
    values = told(bench, wait_for, "table plane", OK, "table")
    assert abs(float(values["above the configured plane [mm]"])) < 3.0
    assert float(values["tilted by [deg]"]) < 0.5
    lower = RigidTransform.from_translation([0.0, 0.0, -0.02])
    tilted = RigidTransform.from_rotation(Rotation.from_euler("x", 5.0, degrees=True))
    for T_configured_true, key, least in (
        (lower, "above the configured plane [mm]", 15.0),
        (tilted, "tilted by [deg]", 4.0),
    ):
        bench.place("workspace", OPTICAL_FRAME, T_configured_true * side_view_pose().inv())
        values = told(bench, wait_for, "table plane", WARN)
        assert abs(float(values[key])) > least
        bench.place("workspace", OPTICAL_FRAME, side_view_pose().inv())
        told(bench, wait_for, "table plane", OK)


def test_a_camera_that_is_gone(bench, wait_for):
    bench.show(np.zeros((240, 320)))
    wait_for(lambda: bench.statuses()["camera camera"].level == WARN, TIMEOUT_S, "a warning of the camera")
    assert "still running" in bench.statuses()["camera camera"].message
    assert bench.statuses()["detection"].level == OK
