"""perception_node over the real middleware, fed by a camera that shows boxes on a table."""

from __future__ import annotations

import array
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Point, Pose, TransformStamped, Vector3
from giga_msgs.msg import GraspArray
from giga_msgs.srv import DetectGrasps, ReconstructScene
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from scipy.spatial.transform import RigidTransform, Rotation
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from table_scene import BOXES, made_model, side_view_pose, table_view
from visualization_msgs.msg import Marker, MarkerArray

from giga_perception.transform_messages import pose_message, transform_from_pose
from giga_perception.weights import save_model
from tf2_ros import StaticTransformBroadcaster

pytestmark = pytest.mark.ros

TIMEOUT_S = 120.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OPTICAL_FRAME = "camera_depth_optical_frame"
T_BASE_WORKSPACE = RigidTransform.from_components([0.35, -0.15, -0.05], Rotation.from_euler("z", 90, degrees=True))


class Bench:
    """A camera, a tf publisher and a client of the node, in one thread of their own."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node("bench", context=self.context)
        self.images = self.node.create_publisher(Image, "/camera/depth/image_rect_raw", qos_profile_sensor_data)
        self.infos = self.node.create_publisher(CameraInfo, "/camera/depth/camera_info", qos_profile_sensor_data)
        self.transforms = StaticTransformBroadcaster(self.node)
        # Deep enough for twenty answers at once.
        self.detect = self.node.create_client(
            DetectGrasps, "/perception_node/detect_grasps", qos_profile=QoSProfile(depth=100)
        )
        self.reconstruct = self.node.create_client(ReconstructScene, "/perception_node/reconstruct_scene")
        self.change_state = self.node.create_client(ChangeState, "/perception_node/change_state")
        self.set_parameters = self.node.create_client(SetParameters, "/perception_node/set_parameters")
        self.describe = self.node.create_client(DescribeParameters, "/perception_node/describe_parameters")
        self.received: dict[str, object] = {}
        for topic, kind in (
            ("grasps", GraspArray),
            ("grasp_markers", MarkerArray),
            ("tsdf", PointCloud2),
            ("affordance", PointCloud2),
            ("scene_mesh", Marker),
        ):
            self.node.create_subscription(kind, f"/perception_node/{topic}", self._keeper(topic), LATCHED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._keeper("diagnostics"), 10)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _keeper(self, topic):
        return lambda message: self.received.__setitem__(topic, message)

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(5.0)
        self.node.destroy_node()
        self.context.shutdown()

    def start(self, client, **fields):
        assert client.wait_for_service(TIMEOUT_S), client.srv_name
        return client.call_async(client.srv_type.Request(**fields))

    @staticmethod
    def wait(future):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S), "no answer in time"
        return future.result()

    def call(self, client, **fields):
        return self.wait(self.start(client, **fields))

    def show(self, depth_m: np.ndarray, encoding: str = "32FC1", **fields) -> Image:
        """Publish an image and its camera info, stamped now."""
        view = table_view(())
        camera = view.camera
        header_stamp = self.node.get_clock().now().to_msg()
        image = Image(height=camera.height, width=camera.width, encoding=encoding)
        data = np.ascontiguousarray(depth_m.astype({"16UC1": np.uint16, "32FC1": np.float32}.get(encoding, np.uint8)))
        image.step = data.shape[1] * data.itemsize
        image.data = array.array("B", data.tobytes())
        info = CameraInfo(height=camera.height, width=camera.width)
        info.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
        for name, value in fields.items():
            setattr(info, name, value)
        for message in (image, info):
            message.header.stamp = header_stamp
            message.header.frame_id = OPTICAL_FRAME
        self.infos.publish(info)
        self.images.publish(image)
        return image

    def show_until_answered(self, future, depth_m: np.ndarray, **fields):
        """Publish the image again and again, as a camera does, until the call is answered."""
        deadline = time.monotonic() + TIMEOUT_S
        while not future.done():
            assert time.monotonic() < deadline, "no answer in time"
            self.show(depth_m, **fields)
            time.sleep(0.1)
        return future.result()

    def detect_in(self, depth_m: np.ndarray, image: dict | None = None, **request) -> DetectGrasps.Response:
        """A fresh detection in this image."""
        future = self.start(self.detect, fresh_image=True, **request)
        return self.show_until_answered(future, depth_m, **(image or {}))

    def publish_transforms(self) -> None:
        def stamped(parent: str, child: str, T_parent_child: RigidTransform) -> TransformStamped:
            message = TransformStamped(child_frame_id=child)
            message.header.frame_id = parent
            pose = pose_message(T_parent_child)
            message.transform.rotation = pose.orientation
            message.transform.translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
            return message

        self.transforms.sendTransform(
            [
                stamped("panda_link0", "workspace", T_BASE_WORKSPACE),
                stamped("workspace", OPTICAL_FRAME, side_view_pose().inv()),
            ]
        )


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(path, made_model(), {"name": "made"})
    return path


def start_node(start_process, model: Path, name: str = "perception_node", **parameters):
    values = {"fresh_image_timeout_s": 3.0, "transform_timeout_s": 0.5, "quality_threshold": 0.01, "threads": 1}
    arguments = [sys.executable, "-m", "giga_perception.perception_node", "--ros-args", "-p", f"model:={model}"]
    for key, value in (values | parameters).items():
        arguments += ["-p", f"{key}:={value}"]
    return start_process(arguments, name, {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def bench(ros_domain, start_process, model_file):
    process = start_node(start_process, model_file)
    bench = Bench()
    yield bench
    bench.close()
    assert "Traceback" not in process.output(), process.output()
    assert process.stop() == 0, process.output()


@pytest.fixture(scope="module")
def ready(bench, wait_for):
    """The bench once transforms are published and one detection has succeeded; the cases before need neither."""
    bench.publish_transforms()
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
    future = bench.start(bench.detect)
    deadline = time.monotonic() + TIMEOUT_S
    while not future.done() and time.monotonic() < deadline:
        bench.images.publish(Image(height=2, width=2, encoding="32FC1", step=8, data=array.array("B", bytes(16))))
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
    wait_for(lambda: "scene_mesh" in ready.received, TIMEOUT_S, "the mesh's marker")
    assert len(ready.received["scene_mesh"].points) == 3 * len(answer.mesh.triangles)


def test_every_topic_shows_the_newest_detection(ready, wait_for):
    answer = ready.detect_in(table_view().depth_m)
    wait_for(
        lambda: "grasps" in ready.received and ready.received["grasps"].header == answer.grasps.header,
        TIMEOUT_S,
        "the grasps of that image",
    )
    assert ready.received["grasps"].grasps == answer.grasps.grasps
    markers = ready.received["grasp_markers"].markers
    assert markers[0].action == Marker.DELETEALL
    assert len(markers) == 1 + len(answer.grasps.grasps)
    for topic, value in (("tsdf", "tsdf"), ("affordance", "quality")):
        cloud = ready.received[topic]
        assert [field.name for field in cloud.fields] == ["x", "y", "z", value]
        assert cloud.width > 0
        points = np.frombuffer(cloud.data, dtype="<f4").reshape(-1, 4)
        assert points[:, :3].min() >= 0.0
        assert points[:, :3].max() <= 0.3


def test_twenty_calls_at_once_are_all_answered(ready):
    depth_m = table_view().depth_m
    futures = [ready.start(ready.detect, fresh_image=bool(index % 2), max_grasps=index) for index in range(20)]
    answers = [ready.show_until_answered(future, depth_m) for future in futures]
    assert all(answer.success for answer in answers), {answer.message for answer in answers}
    assert [len(answer.grasps.grasps) for answer in answers[1:4]] == [1, 2, 3]


def test_diagnostics_tell_of_camera_and_detection(ready, wait_for):
    def levels() -> dict[str, bytes]:
        message = ready.received.get("diagnostics")
        return {} if message is None else {status.name: status.level for status in message.status}

    ready.show(table_view().depth_m)
    expected = {"perception_node: depth input", "perception_node: detection"}
    wait_for(lambda: set(levels()) == expected, TIMEOUT_S, "both statuses")
    # The camera has gone: that becomes a warning.
    wait_for(
        lambda: levels()["perception_node: depth input"] == DiagnosticStatus.WARN, TIMEOUT_S, "a warning of the camera"
    )
    assert levels()["perception_node: detection"] == DiagnosticStatus.OK


def test_parameters_have_ranges_units_and_texts(ready):
    described = ready.call(ready.describe, names=["quality_threshold", "transform_timeout_s", "resolution"])
    threshold, timeout, resolution = described.descriptors
    assert (threshold.floating_point_range[0].from_value, threshold.floating_point_range[0].to_value) == (0.0, 1.0)
    assert "[s]" in timeout.description
    assert resolution.integer_range[0].to_value == 160
    refused = ready.call(
        ready.set_parameters, parameters=[Parameter("quality_threshold", value=1.5).to_parameter_msg()]
    )
    assert not refused.results[0].successful


def test_detection_runs_by_itself_when_told_to(ready, wait_for):
    def set_continuous(value: bool) -> None:
        parameter = Parameter("detect_continuously", value=value).to_parameter_msg()
        assert ready.call(ready.set_parameters, parameters=[parameter]).results[0].successful

    set_continuous(True)
    try:
        ready.received.pop("grasps", None)
        other = table_view(BOXES[:1]).depth_m

        def detected() -> bool:
            ready.show(other)
            return "grasps" in ready.received

        wait_for(detected, TIMEOUT_S, "grasps that nobody asked for")
    finally:
        set_continuous(False)


def test_while_inactive_the_services_say_so_and_afterwards_they_work_again(ready):
    def change(transition: int) -> None:
        request = ChangeState.Request()
        request.transition.id = transition
        assert ready.wait(ready.change_state.call_async(request)).success

    change(Transition.TRANSITION_DEACTIVATE)
    answers = [ready.call(ready.detect), ready.call(ready.reconstruct)]
    change(Transition.TRANSITION_CLEANUP)
    answers.append(ready.call(ready.detect))
    change(Transition.TRANSITION_CONFIGURE)
    change(Transition.TRANSITION_ACTIVATE)
    assert not any(answer.success for answer in answers)
    assert all("change_state" in answer.message for answer in answers)
    again = ready.detect_in(table_view().depth_m)
    assert again.success, again.message


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


@pytest.mark.parametrize("kind", ["missing", "corrupt"])
def test_an_unusable_model_file_leaves_a_node_that_says_so(kind, ros_domain, start_process, tmp_path, model_file):
    model = tmp_path / f"{kind}.safetensors"
    if kind == "corrupt":
        model.write_bytes(model_file.read_bytes()[:5000])
    arguments = [sys.executable, "-m", "giga_perception.perception_node"]
    arguments += ["--ros-args", "-p", f"model:={model}", "-r", f"__node:={kind}_model"]
    process = start_process(arguments, f"{kind}_model")
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("model_client", context=context)
    try:
        for name, kind_of_service in (("detect_grasps", DetectGrasps), ("reconstruct_scene", ReconstructScene)):
            client = node.create_client(kind_of_service, f"/{kind}_model/{name}")
            assert client.wait_for_service(TIMEOUT_S), process.output()
            future = client.call_async(kind_of_service.Request())
            rclpy.spin_until_future_complete(
                node, future, SingleThreadedExecutor(context=context), timeout_sec=TIMEOUT_S
            )
            assert future.done(), process.output()
            assert not future.result().success
            assert str(model) in future.result().message
        assert process.process.poll() is None
        assert str(model) in process.output()
        assert "Traceback" not in process.output()
    finally:
        node.destroy_node()
        context.shutdown()
    assert process.stop() == 0
