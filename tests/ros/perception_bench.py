"""perception_node in a process of its own, and all that it talks to: cameras, tf, a robot, and a client."""

from __future__ import annotations

import array
import struct
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped, Vector3
from giga_msgs.msg import GraspArray
from giga_msgs.srv import DetectGrasps, ReconstructScene
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform, Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from table_scene import CAMERA, side_view_pose
from visualization_msgs.msg import Marker, MarkerArray

from giga_perception.transform_messages import pose_message
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

TIMEOUT_S = 120.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OPTICAL_FRAME = "camera_depth_optical_frame"
T_BASE_WORKSPACE = RigidTransform.from_components([0.35, -0.15, -0.05], Rotation.from_euler("z", 90, degrees=True))
SHOWN_TOPICS = {
    "grasps": GraspArray,
    "grasp_markers": MarkerArray,
    "tsdf": PointCloud2,
    "affordance": PointCloud2,
    "affordance_surface": Marker,
    "scene_mesh": Marker,
}


class Bench:
    """A camera, a tf publisher and a client of the node, in one thread of their own."""

    def __init__(self, node_name: str = "perception_node") -> None:
        self.name = node_name
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node("bench", context=self.context)
        self.cameras: dict[str, tuple] = {}
        self.static_transforms = StaticTransformBroadcaster(self.node)
        self.moving_transforms = TransformBroadcaster(self.node)
        # Deep enough for twenty answers at once.
        self.detect = self.client(DetectGrasps, "detect_grasps", qos_profile=QoSProfile(depth=100))
        self.reconstruct = self.client(ReconstructScene, "reconstruct_scene")
        self.change_state = self.client(ChangeState, "change_state")
        self.set_parameters = self.client(SetParameters, "set_parameters")
        self.get_parameters = self.client(GetParameters, "get_parameters")
        self.describe = self.client(DescribeParameters, "describe_parameters")
        self.received: dict[str, object] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._keeper("diagnostics"), 10)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def client(self, kind: type, service: str, **options):
        return self.node.create_client(kind, f"/{self.name}/{service}", **options)

    def watch(self, *topics: str) -> None:
        """Subscribe to topics of the node; what comes is in `received`."""
        for topic in topics:
            self.node.create_subscription(SHOWN_TOPICS[topic], f"/{self.name}/{topic}", self._keeper(topic), LATCHED)

    def _keeper(self, topic: str):
        return lambda message: self.received.__setitem__(topic, message)

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(5.0)
        self.node.destroy_node()
        self.context.shutdown()

    # Calls.

    @staticmethod
    def start(client, **fields):
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

    def set(self, **values):
        """Set parameters of the node, one after the other: the reasons of those refused."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        results = self.call(self.set_parameters, parameters=parameters).results
        return [result.reason for result in results if not result.successful]

    def change(self, transition: int) -> None:
        """Take the node through a transition of its lifecycle."""
        assert self.call(self.change_state, transition=Transition(id=transition)).success

    # The camera.

    def camera(self, prefix: str) -> tuple:
        """Publishers of the image and the camera info."""
        if prefix not in self.cameras:
            topics = ((Image, f"/{prefix}/depth/image_rect_raw"), (CameraInfo, f"/{prefix}/depth/camera_info"))
            self.cameras[prefix] = tuple(self.node.create_publisher(*each, qos_profile_sensor_data) for each in topics)
        return self.cameras[prefix]

    def show(
        self,
        depth_m: np.ndarray,
        encoding: str = "32FC1",
        prefix: str = "camera",
        frame_id: str = OPTICAL_FRAME,
        stamp_ns: int | None = None,
        **fields,
    ) -> int:
        """Publish an image and its camera info, stamped now unless told otherwise; gives the stamp in nanoseconds."""
        stamp_ns = self.node.get_clock().now().nanoseconds if stamp_ns is None else stamp_ns
        images, infos = self.camera(prefix)
        image = depth_message(depth_m, encoding)
        info = camera_info(**fields)
        for message in (image, info):
            message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
            message.header.frame_id = frame_id
        infos.publish(info)
        images.publish(image)
        return stamp_ns

    def show_compressed_until_answered(self, future, counts_mm: np.ndarray, image_topic: str):
        """As `show_until_answered`, by the compressedDepth transport of this image topic, as PNG."""
        images = self.node.create_publisher(CompressedImage, f"{image_topic}/compressedDepth", qos_profile_sensor_data)
        infos = self.camera("camera")[1]
        encoded, png = cv2.imencode(".png", counts_mm)
        assert encoded
        # Format (inverse depth or not) and two quantisation numbers, unused for 16UC1, go before the PNG.
        data = array.array("B", struct.pack("<iff", 0, 0.0, 0.0) + png.tobytes())
        deadline = time.monotonic() + TIMEOUT_S
        while not future.done():
            assert time.monotonic() < deadline, "no answer in time"
            info, image = camera_info(), CompressedImage(format="16UC1; compressedDepth png", data=data)
            for message in (info, image):
                message.header.stamp = self.node.get_clock().now().to_msg()
                message.header.frame_id = OPTICAL_FRAME
                image.header.stamp = info.header.stamp
            infos.publish(info)
            images.publish(image)
            time.sleep(0.1)
        return future.result()

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

    # Transforms.

    def place(self, parent: str, child: str, T_parent_child: RigidTransform) -> None:
        """Publish a transform that holds for ever."""
        self.static_transforms.sendTransform(stamped_transform(parent, child, T_parent_child, 0))

    def place_all(self, parent: str, T_parent_child: dict[str, RigidTransform]) -> None:
        """Publish several at once."""
        transforms = [stamped_transform(parent, child, transform, 0) for child, transform in T_parent_child.items()]
        self.static_transforms.sendTransform(transforms)

    def move(self, parent: str, child: str, T_parent_child: RigidTransform, stamp_ns: int) -> None:
        """Publish a transform that holds at this stamp."""
        self.moving_transforms.sendTransform(stamped_transform(parent, child, T_parent_child, stamp_ns))

    def place_cell(self) -> None:
        """The base, the workspace, and the camera of `side_view_pose`."""
        self.place("panda_link0", "workspace", T_BASE_WORKSPACE)
        self.place("workspace", OPTICAL_FRAME, side_view_pose().inv())

    # Diagnostics.

    def statuses(self) -> dict[str, object]:
        """The node's statuses on /diagnostics by their names, the node's own name left out."""
        message = self.received.get("diagnostics")
        statuses = [] if message is None else message.status
        return {status.name.removeprefix(f"{self.name}: "): status for status in statuses}


def depth_message(depth_m: np.ndarray, encoding: str = "32FC1") -> Image:
    """An image of these depths, in the unit that the encoding wants."""
    dtype = {"16UC1": np.uint16, "32FC1": np.float32}.get(encoding, np.uint8)
    data = np.ascontiguousarray(depth_m.astype(dtype))
    image = Image(height=CAMERA.height, width=CAMERA.width, encoding=encoding)
    image.step = data.shape[1] * data.itemsize
    image.data = array.array("B", data.tobytes())
    return image


def camera_info(**fields) -> CameraInfo:
    """That of the test's camera, some fields otherwise."""
    info = CameraInfo(height=CAMERA.height, width=CAMERA.width)
    info.k = [CAMERA.fx, 0.0, CAMERA.cx, 0.0, CAMERA.fy, CAMERA.cy, 0.0, 0.0, 1.0]
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def stamped_transform(parent: str, child: str, T_parent_child: RigidTransform, stamp_ns: int) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    pose = pose_message(T_parent_child)
    message.transform.rotation = pose.orientation
    message.transform.translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
    return message


def parameter_text(value: object) -> str:
    """As it is written in a ROS argument."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(parameter_text(each) for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def start_node(start_process, model: Path, name: str = "perception_node", *remaps: str, **parameters):
    """The node in a process of its own, with timeouts for a loaded machine; ``remaps`` as FROM:=TO."""
    values = {
        "model": model,
        "fresh_image_timeout_s": 3.0,
        "transform_timeout_s": 10.0,
        "quality_threshold": 0.01,
    }
    arguments = [sys.executable, "-m", "giga_perception.perception_node", "--ros-args", "-r", f"__node:={name}"]
    for remap in remaps:
        arguments += ["-r", remap]
    for key, value in (values | parameters).items():
        arguments += ["-p", f"{key}:={parameter_text(value)}"]
    return start_process(arguments, name, {"OMP_NUM_THREADS": "1"})


def assert_ended_well(process) -> None:
    """The process ends when told to, and nothing went wrong in it."""
    assert process.stop() == 0, process.output()
    assert "Traceback" not in process.output(), process.output()
