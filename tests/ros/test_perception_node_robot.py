"""perception_node with a robot in its own depth image."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from perception_bench import LATCHED, OPTICAL_FRAME, TIMEOUT_S, Bench, assert_ended_well, start_node
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import String
from table_scene import BOXES, made_model, side_view_pose, table_view

from giga_perception.robot_geometry import read_robot_geometry
from giga_perception.robot_mask import find_arm, hidden_share
from giga_perception.tsdf import fuse
from giga_perception.weights import save_model

pytestmark = pytest.mark.ros

SIZE_M = (0.05, 0.05, 0.12)
"""Of the robot's one visible link, a box."""
URDF = f"""<robot name="block">
  <link name="mount"/>
  <link name="block"><collision><geometry><box size="{" ".join(map(str, SIZE_M))}"/></geometry></collision></link>
  <joint name="slide" type="floating"><parent link="mount"/><child link="block"/></joint>
</robot>"""

ASIDE = (0.25, 0.05, 0.15)
"""Where the link is seen and hides little (workspace, metres)."""
BEFORE_THE_LENS = (0.15, -0.17, 0.29)
"""Where it hides the scene: on the camera's axis, a third of the way to the table."""


@pytest.fixture(scope="module")
def ready(ros_domain, start_process, tmp_path_factory):
    model_file = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(model_file, made_model(), {"name": "made"})
    process = start_node(start_process, model_file, transform_timeout_s=2.0)
    bench = Bench()
    bench.place_cell()
    bench.watch("grasps")
    yield bench
    bench.close()
    assert_ended_well(process)


def seen(place: tuple[float, float, float]):
    """What the camera sees of boxes, table, and the link at this place."""
    return table_view((*BOXES, (place, SIZE_M)))


def detect(bench: Bench, place: tuple[float, float, float], lag_m: float = 0.0):
    """A fresh detection, the link at that place at each image's stamp; ``lag_m`` aside 10 ms before and after it."""
    depth_m = seen(place).depth_m
    future = bench.start(bench.detect, fresh_image=True)
    deadline = time.monotonic() + TIMEOUT_S
    while not future.done():
        assert time.monotonic() < deadline, "no answer in time"
        stamp_ns = bench.show(depth_m)
        for offset_ns in (-10_000_000, 0, 10_000_000):
            aside = RigidTransform.from_translation([np.sign(offset_ns) * lag_m + place[0], place[1], place[2]])
            bench.move("workspace", "block", aside, stamp_ns + offset_ns)
        time.sleep(0.1)
    answer = future.result()
    assert answer.success, answer.message
    return answer.grasps


def expected(place: tuple[float, float, float]):
    """What the library makes of it."""
    view = seen(place)
    T_camera_block = side_view_pose() * RigidTransform.from_translation(place)
    return find_arm(read_robot_geometry(URDF), view, {"block": T_camera_block})


# In this order: before there is a description, then with one.


def test_without_a_description_nothing_is_measured_and_diagnostics_say_so(ready, wait_for):
    grasps = detect(ready, ASIDE)
    assert grasps.report.hidden_by_robot == -1.0
    assert grasps.report.voxels_observed == np.count_nonzero(fuse([seen(ASIDE)]).weight)
    wait_for(lambda: "robot filter" in ready.statuses(), TIMEOUT_S, "the status of the robot filter")
    status = ready.statuses()["robot filter"]
    assert status.level == DiagnosticStatus.OK
    assert "/robot_description" in status.message


def test_a_description_that_is_none_is_told(ready, wait_for):
    publisher = ready.node.create_publisher(String, "/robot_description", LATCHED)
    publisher.publish(String(data="<sdf/>"))

    def warned() -> bool:
        status = ready.statuses().get("robot filter")
        return status is not None and status.level == DiagnosticStatus.WARN and "URDF" in status.message

    wait_for(warned, TIMEOUT_S, "a warning that this is no URDF")
    assert detect(ready, ASIDE).report.hidden_by_robot == -1.0
    publisher.publish(String(data=URDF))
    wait_for(lambda: "dropped" in ready.statuses()["robot filter"].message, TIMEOUT_S, "the robot's shape to be known")


def test_the_robot_is_dropped_where_it_was_at_the_image_s_stamp(ready):
    arm = expected(ASIDE)
    assert arm.on_arm.any()
    grasps = detect(ready, ASIDE, lag_m=0.1)
    assert grasps.report.voxels_observed == np.count_nonzero(fuse([arm.remaining]).weight)
    assert grasps.report.hidden_by_robot == pytest.approx(hidden_share([arm]))
    assert 0.0 < grasps.report.hidden_by_robot < 0.2
    assert grasps.grasps


def test_a_robot_before_the_lens_ends_detection_with_a_sentence(ready, wait_for):
    share = hidden_share([expected(BEFORE_THE_LENS)])
    assert share > 0.2
    grasps = detect(ready, BEFORE_THE_LENS)
    assert grasps.grasps == []
    assert grasps.report.hidden_by_robot == pytest.approx(share)
    assert "the robot hides" in grasps.report.message
    assert grasps.report.message in [ready.call(ready.detect).message]
    reconstruction = ready.call(ready.reconstruct)
    assert not reconstruction.success
    assert "the robot hides" in reconstruction.message
    wait_for(lambda: ready.received["grasps"].header == grasps.header, TIMEOUT_S, "the empty array on the topic")
    assert ready.received["grasps"].grasps == []
    # What is allowed to be hidden is the user's to say.
    assert not ready.set(max_hidden_by_robot=1.0)
    try:
        assert ready.call(ready.detect).grasps.grasps
    finally:
        assert not ready.set(max_hidden_by_robot=0.2)


def test_the_filter_can_be_switched_off(ready):
    assert not ready.set(robot_filter="off")
    try:
        grasps = detect(ready, BEFORE_THE_LENS)
        assert grasps.report.hidden_by_robot == -1.0
        assert grasps.report.voxels_observed == np.count_nonzero(fuse([seen(BEFORE_THE_LENS)]).weight)
    finally:
        assert not ready.set(robot_filter="auto")


def test_a_link_without_a_transform_stays_and_is_named(ready, wait_for):
    # A clock that is far from the robot's last words: tf knows nothing of the link at this stamp.
    stamp_ns = ready.node.get_clock().now().nanoseconds + 60 * 10**9
    depth_m = seen(ASIDE).depth_m

    def detected() -> bool:
        ready.show(depth_m, stamp_ns=stamp_ns)
        answer = ready.call(ready.detect)
        report = answer.grasps.report
        return answer.success and report.hidden_by_robot == -1.0 and "no transform to block" in report.message

    wait_for(detected, TIMEOUT_S, "a detection in that image")

    def named() -> bool:
        status = ready.statuses()["robot filter"]
        return status.level == DiagnosticStatus.WARN and "block" in status.message

    wait_for(named, TIMEOUT_S, "a warning that names the link")
    assert OPTICAL_FRAME not in ready.statuses()["robot filter"].message
