"""perception_node's services and topics over the real middleware, fed by a camera that shows boxes on a table."""

from __future__ import annotations

import array
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from geometry_msgs.msg import Point, Pose, Vector3
from perception_bench import (
    OPTICAL_FRAME,
    SHOWN_TOPICS,
    T_BASE_WORKSPACE,
    TIMEOUT_S,
    Bench,
    assert_ended_well,
    start_node,
)
from sensor_msgs.msg import Image
from table_scene import BOXES, made_model, table_view
from visualization_msgs.msg import Marker

from giga_perception.transform_messages import transform_from_pose
from giga_perception.weights import save_model

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def bench(ros_domain, start_process, tmp_path_factory):
    model_file = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(model_file, made_model(), {"name": "made"})
    process = start_node(start_process, model_file, transform_timeout_s=0.5)
    bench = Bench()
    yield bench
    bench.close()
    assert_ended_well(process)


@pytest.fixture(scope="module")
def ready(bench, wait_for):
    """The bench once transforms are published and one detection has succeeded; the cases before need neither."""
    bench.place_cell()
    wait_for(lambda: bench.detect_in(table_view().depth_m).success, TIMEOUT_S, "a first detection")
    return bench


# The first cases run in this order: before there is a camera, then before there are transforms.


def test_without_a_camera_the_answer_names_the_topic(bench):
    for client in (bench.detect, bench.reconstruct):
        answer = bench.call(client)
        assert not answer.success
        assert "/camera/depth/image_rect_raw" in answer.message
        assert "no depth image" in answer.message


def test_without_a_camera_info_the_answer_names_that_topic(bench):
    image = Image(height=2, width=2, encoding="32FC1", step=8, data=array.array("B", bytes(16)))
    future = bench.start(bench.detect)
    deadline = time.monotonic() + TIMEOUT_S
    while not future.done() and time.monotonic() < deadline:
        bench.camera("camera")[0].publish(image)
        time.sleep(0.1)
    assert not future.result().success
    assert "/camera/depth/camera_info" in future.result().message


def test_without_a_transform_the_answer_names_both_frames(bench):
    answer = bench.detect_in(table_view().depth_m)
    assert not answer.success
    assert "'workspace'" in answer.message
    assert f"'{OPTICAL_FRAME}'" in answer.message


def test_grasps_come_ranked_in_the_workspace_with_a_full_report(ready):
    view = table_view()
    answer = ready.detect_in(view.depth_m)
    array_, report = answer.grasps, answer.grasps.report
    assert answer.success, answer.message
    assert array_.header.frame_id == "workspace"
    qualities = [grasp.quality for grasp in array_.grasps]
    assert qualities
    assert qualities == sorted(qualities, reverse=True)
    assert report.model == "made"
    assert report.voxels_total == 40**3 > report.voxels_observed > 0
    assert report.centres_queried >= report.centres_near_surface >= report.centres_width_valid
    assert report.above_threshold >= report.after_nms == report.after_region == len(array_.grasps)
    assert min(report.integrate_ms, report.network_ms, report.selection_ms, report.total_ms) > 0.0


def test_the_frame_asked_for_is_the_frame_answered_in(ready):
    view = table_view()
    in_workspace = ready.detect_in(view.depth_m).grasps.grasps
    answer = ready.detect_in(view.depth_m, frame_id="panda_link0")
    assert answer.success, answer.message
    assert answer.grasps.header.frame_id == "panda_link0"
    assert len(answer.grasps.grasps) == len(in_workspace) > 0
    for in_base, grasp in zip(answer.grasps.grasps, in_workspace, strict=True):
        expected = T_BASE_WORKSPACE * transform_from_pose(grasp.pose)
        np.testing.assert_allclose(transform_from_pose(in_base.pose).as_matrix(), expected.as_matrix(), atol=1e-6)


def test_an_unknown_frame_is_named(ready):
    answer = ready.detect_in(table_view().depth_m, frame_id="the_moon")
    assert not answer.success
    assert "the_moon" in answer.message


def test_the_fresh_image_is_the_one_stamped_after_the_request(ready):
    before = ready.node.get_clock().now().nanoseconds
    answer = ready.detect_in(table_view().depth_m)
    stamp = answer.grasps.header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec >= before


def test_no_fresh_image_is_said_to_be_missing(ready):
    answer = ready.call(ready.detect, fresh_image=True)
    assert not answer.success
    assert "/camera/depth/image_rect_raw" in answer.message
    assert "before the request" in answer.message


def test_an_image_at_hand_is_used_again(ready):
    first = ready.detect_in(table_view().depth_m)
    # Images published meanwhile show the same; what is at hand answers without a camera.
    again = [ready.call(ready.detect) for _ in range(2)]
    assert all(answer.success for answer in again)
    assert [g.pose for g in again[0].grasps.grasps] == [g.pose for g in first.grasps.grasps]
    assert again[0].grasps.report.total_ms == again[1].grasps.report.total_ms


def test_max_grasps_keeps_the_best(ready):
    everything = ready.detect_in(table_view().depth_m).grasps.grasps
    best = ready.call(ready.detect, max_grasps=2).grasps.grasps
    assert len(everything) > 2
    assert best == everything[:2]


def test_only_grasps_in_the_region_are_given(ready):
    everything = ready.detect_in(table_view().depth_m).grasps.grasps
    (cx, cy, cz), _ = BOXES[1]
    # The region is given in the base frame, where the workspace is turned by 90 degrees.
    centre = T_BASE_WORKSPACE.apply([cx, cy, cz])
    request = {
        "region_frame_id": "panda_link0",
        "region_pose": Pose(position=Point(x=centre[0], y=centre[1], z=centre[2])),
        "region_size_m": Vector3(x=0.12, y=0.08, z=0.3),
    }
    answer = ready.call(ready.detect, **request)
    wanted = [
        grasp
        for grasp in everything
        if abs(grasp.pose.position.x - cx) <= 0.04 and abs(grasp.pose.position.y - cy) <= 0.06
    ]
    assert 0 < len(wanted) < len(everything)
    assert answer.grasps.grasps == wanted
    assert answer.grasps.report.after_region == len(wanted)


def test_an_empty_region_is_a_success_that_says_so(ready):
    far = Pose(position=Point(x=5.0, y=5.0, z=5.0))
    ready.detect_in(table_view().depth_m)
    answer = ready.call(ready.detect, region_pose=far, region_size_m=Vector3(x=0.1, y=0.1, z=0.1))
    assert answer.success
    assert answer.grasps.grasps == []
    assert "region" in answer.grasps.report.message


def test_an_impossible_request_names_its_field(ready):
    for fields, named in (
        ({"min_quality": 1.5}, "min_quality"),
        ({"region_size_m": Vector3(x=0.1, y=-0.1, z=0.1)}, "region_size_m"),
    ):
        answer = ready.call(ready.detect, **fields)
        assert not answer.success
        assert named in answer.message
    answer = ready.call(ready.reconstruct, resolution=100_000)
    assert not answer.success
    assert "resolution" in answer.message


def test_min_quality_goes_over_the_nodes_threshold(ready):
    everything = ready.detect_in(table_view().depth_m).grasps.grasps
    bar = everything[len(everything) // 2].quality
    answer = ready.call(ready.detect, min_quality=bar)
    assert answer.grasps.report.quality_threshold == pytest.approx(bar)
    assert 0 < len(answer.grasps.grasps) < len(everything)
    assert min(grasp.quality for grasp in answer.grasps.grasps) >= bar - 1e-6


def test_an_empty_table_is_a_success_whose_report_says_why(ready):
    # Its quality is made low by asking for much: random weights know no empty table.
    answer = ready.detect_in(table_view(()).depth_m, min_quality=1.0)
    assert answer.success
    assert answer.grasps.grasps == []
    assert "threshold" in answer.grasps.report.message


def test_an_image_without_any_reading_is_a_success_whose_report_says_why(ready):
    answer = ready.detect_in(np.zeros((240, 320)))
    assert answer.success
    assert "no depth reading" in answer.grasps.report.message


def test_values_that_are_no_depth_are_dropped(ready):
    depth_m = table_view().depth_m
    clean = ready.detect_in(depth_m)
    spoiled = depth_m.copy()
    spoiled[::7, ::5] = np.nan
    spoiled[3::7, ::5] = np.inf
    spoiled[5::7, ::5] = -1.0
    answer = ready.detect_in(spoiled)
    assert answer.success, answer.message
    assert answer.grasps.grasps
    assert 0 < answer.grasps.report.voxels_observed <= clean.grasps.report.voxels_observed


def test_millimetres_and_metres_give_the_same_surface(ready):
    depth_m = table_view().depth_m
    metres = ready.detect_in(depth_m)
    millimetres = ready.detect_in(np.round(depth_m * 1000.0), image={"encoding": "16UC1"})
    assert millimetres.success, millimetres.message
    seen = (millimetres.grasps.report.voxels_observed, metres.grasps.report.voxels_observed)
    assert seen[0] == pytest.approx(seen[1], rel=0.01)


def test_an_image_that_holds_no_depth_is_refused(ready):
    answer = ready.detect_in(np.zeros((240, 320)), image={"encoding": "rgb8"})
    assert not answer.success
    assert "rgb8" in answer.message


def test_a_camera_info_of_another_size_or_uncalibrated_is_refused(ready):
    depth_m = table_view().depth_m
    other_size = ready.detect_in(depth_m, image={"width": 640})
    assert not other_size.success
    assert "/camera/depth/camera_info" in other_size.message
    uncalibrated = ready.detect_in(depth_m, image={"k": [0.0] * 9})
    assert not uncalibrated.success
    assert "focal" in uncalibrated.message


def test_the_scene_is_reconstructed_within_its_limit(ready, wait_for):
    ready.detect_in(table_view().depth_m)
    answer = ready.call(ready.reconstruct, max_triangles=500)
    assert answer.success, answer.message
    assert answer.header.frame_id == "workspace"
    assert 0 < len(answer.mesh.triangles) <= 500
    vertices = np.array([[p.x, p.y, p.z] for p in answer.mesh.vertices])
    assert vertices.min() >= 0.0
    assert vertices.max() <= 0.3
    corners = np.array([triangle.vertex_indices for triangle in answer.mesh.triangles])
    assert corners.max() < len(vertices)
    ready.watch("scene_mesh")
    wait_for(lambda: "scene_mesh" in ready.received, TIMEOUT_S, "the mesh's marker, also when one comes late")
    assert len(ready.received["scene_mesh"].points) == 3 * len(answer.mesh.triangles)


def test_who_comes_late_sees_the_newest_detection_on_every_topic(ready, wait_for):
    answer = ready.detect_in(table_view().depth_m)
    topics = [topic for topic in SHOWN_TOPICS if topic != "scene_mesh"]
    ready.watch(*topics)
    wait_for(lambda: all(topic in ready.received for topic in topics), TIMEOUT_S, "something on each topic")
    assert ready.received["grasps"].header == answer.grasps.header
    assert ready.received["grasps"].grasps == answer.grasps.grasps
    markers = ready.received["grasp_markers"].markers
    assert markers[0].action == Marker.DELETEALL
    assert markers[0].header == answer.grasps.header
    assert len(markers) == 1 + len(answer.grasps.grasps)
    for topic, value in (("tsdf", "tsdf"), ("affordance", "quality")):
        cloud = ready.received[topic]
        assert cloud.header == answer.grasps.header
        assert [field.name for field in cloud.fields] == ["x", "y", "z", value]
        assert cloud.width > 0
        points = np.frombuffer(cloud.data, dtype="<f4").reshape(-1, 4)
        assert points[:, :3].min() >= 0.0
        assert points[:, :3].max() <= 0.3
    surface = ready.received["affordance_surface"]
    assert len(surface.points) == len(surface.colors) > 0


def test_who_listens_sees_every_new_detection(ready, wait_for):
    topics = [topic for topic in SHOWN_TOPICS if topic != "scene_mesh"]

    def newest_header(topic: str):
        message = ready.received[topic]
        return message.markers[0].header if topic == "grasp_markers" else message.header

    header = ready.detect_in(table_view(BOXES[1:]).depth_m).grasps.header
    for topic in topics:
        wait_for(lambda topic=topic: newest_header(topic) == header, TIMEOUT_S, f"{topic} of that image")


def test_twenty_calls_at_once_are_all_answered(ready):
    depth_m = table_view().depth_m
    futures = [ready.start(ready.detect, fresh_image=bool(index % 2), max_grasps=index) for index in range(20)]
    answers = [ready.show_until_answered(future, depth_m) for future in futures]
    assert all(answer.success for answer in answers), {answer.message for answer in answers}
    assert [len(answer.grasps.grasps) for answer in answers[1:4]] == [1, 2, 3]


def test_the_example_client_prints_grasps_in_the_frame_asked_for(ready):
    best = ready.detect_in(table_view().depth_m, frame_id="panda_link0").grasps.grasps[0]
    example = Path(__file__).resolve().parents[2] / "examples" / "detect_client.py"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(example), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)

    in_base = run("panda_link0")
    assert in_base.returncode == 0, in_base.stderr
    assert "5 grasps in 'panda_link0'" in in_base.stdout
    place = best.pose.position
    assert f"at {place.x:.3f} {place.y:.3f} {place.z:.3f} m" in in_base.stdout
    unknown = run("the_moon")
    assert unknown.returncode != 0
    assert "the_moon" in unknown.stderr
