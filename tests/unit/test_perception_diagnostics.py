"""What /diagnostics says in which state of the node, and the look for the table behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import table_view

from giga_perception.detection_report import DetectionCounts
from giga_perception.diagnostic_messages import CameraState, NodeState, perception_diagnostics
from giga_perception.observed_scene import ObservedScene
from giga_perception.table_watch import LEAST_LOOKS, TableState, TableWatch

LIVE = CameraState("left", "silent", image_age_s=0.1, rate_hz=29.97, transform_age_s=0.02)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def status(state: NodeState, name: str) -> DiagnosticStatus:
    by_name = {each.name: each for each in perception_diagnostics("/cell/node", state).status}
    return by_name[f"cell/node: {name}"]


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


@pytest.mark.parametrize(
    ("camera", "level", "words"),
    [
        (LIVE, OK, "come in"),
        (replace(LIVE, transform_age_s=None, transform_is_static=True), OK, "come in"),
        (replace(LIVE, transform_age_s=None), WARN, "tf does not know"),
        (replace(LIVE, image_age_s=9.0), WARN, "silent"),
        (CameraState("left", "silent"), ERROR, "silent"),
    ],
)
def test_a_camera(camera: CameraState, level: bytes, words: str) -> None:
    told = status(NodeState(cameras=[camera]), "camera left")
    assert told.level == level
    assert words in told.message


def test_a_camera_s_figures() -> None:
    told = values(status(NodeState(cameras=[replace(LIVE, overtaken=3)]), "camera left"))
    assert told["images a second"] == "30.0"
    assert told["seconds since the newest image"] == "0.10"
    assert told["seconds since the newest transform"] == "0.02"
    assert told["images overtaken by a newer one"] == "3"
    static = replace(LIVE, transform_age_s=None, transform_is_static=True)
    assert "static" in values(status(NodeState(cameras=[static]), "camera left")).values()


def test_detection() -> None:
    assert status(NodeState("no model"), "detection").level == ERROR
    ready = status(NodeState(model="made"), "detection")
    assert (ready.level, values(ready)) == (OK, {"model": "made"})
    report = DetectionCounts(model="made", after_nms=4, hidden_by_robot=0.125, network_ms=12.34)
    told = status(NodeState(report=report), "detection")
    assert (told.level, told.message) == (OK, "4 grasps in the newest scene")
    assert values(told)["hidden by the robot"] == "12%"
    assert values(told)["network [ms]"] == "12.3"
    unmeasured = status(NodeState(report=replace(report, hidden_by_robot=-1.0)), "detection")
    assert values(unmeasured)["hidden by the robot"] == "not measured"


def test_the_robot_filter() -> None:
    assert status(NodeState(robot="there is no robot"), "robot filter").level == OK
    told = status(NodeState(robot_problem="link 3 has no mesh"), "robot filter")
    assert (told.level, told.message) == (WARN, "link 3 has no mesh")


def test_the_table_plane() -> None:
    names = [each.name for each in perception_diagnostics("node", NodeState()).status]
    assert "node: table plane" not in names
    told = status(NodeState(table=TableState(True, "it is off", 0.0123, 1.5, 4)), "table plane")
    assert (told.level, told.message) == (WARN, "it is off")
    assert list(values(told).values()) == ["12.3", "1.50", "4"]


@pytest.mark.parametrize(
    ("T_configured_true", "is_off"),
    [
        (RigidTransform.identity(), False),
        (RigidTransform.from_translation([0.0, 0.0, 0.02]), True),
        (RigidTransform.from_rotation(Rotation.from_euler("y", 5.0, degrees=True)), True),
    ],
)
def test_looks_find_a_workspace_that_does_not_fit(T_configured_true: RigidTransform, is_off: bool) -> None:
    view = table_view()
    view = replace(view, T_camera_workspace=view.T_camera_workspace * T_configured_true)
    watch = TableWatch()
    assert watch.state is None
    assert watch.is_due(5.0)
    assert not watch.is_due(0.0)
    for stamp_ns in range(LEAST_LOOKS):
        assert watch.state is None or not watch.state.is_off, "one look is no reason to warn"
        for _ in range(2):
            watch.look(ObservedScene((view,), stamp_ns))
    assert watch.state is not None
    assert watch.state.is_off == is_off
    assert watch.state.looks == LEAST_LOOKS
    assert not watch.is_due(60.0)


def test_an_image_whose_depths_are_all_too_long_once_is_no_reason_to_warn() -> None:
    view = table_view()
    watch = TableWatch()
    for stamp_ns, scale in enumerate((1.0, 1.04, 1.0, 0.96, 1.0)):
        watch.look(ObservedScene((replace(view, depth_m=view.depth_m * np.float32(scale)),), stamp_ns))
    assert watch.state is not None
    assert not watch.state.is_off
    assert watch.state.looks == 5


def test_a_look_that_sees_no_table_warns_of_nothing() -> None:
    view = table_view()
    watch = TableWatch()
    watch.look(ObservedScene((replace(view, depth_m=np.zeros_like(view.depth_m)),), 0))
    assert watch.state is not None
    assert not watch.state.is_off
    assert watch.state.message
