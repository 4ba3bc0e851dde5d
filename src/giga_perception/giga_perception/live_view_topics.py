"""One depth view from a running camera: image, camera info and tf, with the robot taken out where it is known."""

from __future__ import annotations

import time
from dataclasses import dataclass

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from giga_perception.camera import DepthView
from giga_perception.depth_messages import DepthMessageError, depth_view_from_messages, is_rectified_topic
from giga_perception.robot_geometry import RobotGeometryError, read_robot_geometry
from giga_perception.robot_mask import find_arm, missing_links_sentence
from giga_perception.transform_messages import transform_from_message
from message_filters import Subscriber, TimeSynchronizer
from tf2_ros import Buffer, TransformException, TransformListener

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
_ROBOT_TIMEOUT_S = 2.0
_SPIN_S = 0.1


class LiveViewError(Exception):
    """No view came; the message says what did not, and what to do."""


@dataclass(frozen=True)
class LiveTopics:
    """Where to listen, and what frames are called there."""

    image: str
    camera_info: str
    workspace_frame: str
    robot_description: str = "robot_description"
    frame_prefix: str = ""


@dataclass(frozen=True, eq=False)
class LiveView:
    """A view without the robot, its camera's frame, and sentences about what could not be looked for."""

    view: DepthView
    camera_frame: str
    remarks: tuple[str, ...]


@dataclass
class _Heard:
    """The newest that came."""

    pair: tuple[Image, CameraInfo] | None = None
    description: str | None = None
    images: int = 0
    why_no_transform: str = ""


def live_view(topics: LiveTopics, timeout_s: float) -> LiveView:
    """Wait for one image with its camera info and transform.

    Raises LiveViewError, naming what did not come, after `timeout_s` seconds of wall time.
    """
    rclpy.init()
    try:
        node = Node("giga_calibrate")
        try:
            return _listen(node, topics, timeout_s)
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _listen(node: Node, topics: LiveTopics, timeout_s: float) -> LiveView:
    heard = _Heard()
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    inputs = [
        Subscriber(node, kind, topic, qos_profile=qos_profile_sensor_data)
        for kind, topic in ((Image, topics.image), (CameraInfo, topics.camera_info))
    ]
    pairs = TimeSynchronizer(inputs, 10)

    def on_pair(image: Image, camera_info: CameraInfo) -> None:
        heard.pair = (image, camera_info)

    def on_image(image: Image) -> None:
        heard.images += 1

    def on_description(message: String) -> None:
        heard.description = message.data

    pairs.registerCallback(on_pair)
    inputs[0].registerCallback(on_image)
    node.create_subscription(String, topics.robot_description, on_description, _LATCHED)

    deadline = time.monotonic() + timeout_s
    T_camera_workspace: RigidTransform | None = None
    while T_camera_workspace is None:
        if time.monotonic() >= deadline:
            raise LiveViewError(_why_nothing(node, topics, heard, timeout_s))
        rclpy.spin_once(node, timeout_sec=_SPIN_S)
        if heard.pair is not None:
            image, camera_info = heard.pair
            T_camera_workspace = _transform(buffer, image, topics.workspace_frame, heard)
    try:
        depth_m, camera = depth_view_from_messages(image, camera_info, is_rectified_topic(topics.image))
    except DepthMessageError as error:
        raise LiveViewError(f"{topics.image} cannot be used: {error}") from error
    view = DepthView(depth_m, camera, T_camera_workspace)
    view, remarks = _without_robot(node, topics, heard, buffer, image, view)
    listener.unregister()
    return LiveView(view, image.header.frame_id, remarks)


def _without_robot(
    node: Node, topics: LiveTopics, heard: _Heard, buffer: Buffer, image: Image, view: DepthView
) -> tuple[DepthView, tuple[str, ...]]:
    """The view with the robot's pixels dropped, and what could not be done of it."""
    deadline = time.monotonic() + _ROBOT_TIMEOUT_S
    while heard.description is None and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=_SPIN_S)
    if heard.description is None:
        return view, (f"nothing came on {topics.robot_description}: a robot in the image is not told from the table",)
    try:
        geometry = read_robot_geometry(heard.description)
    except RobotGeometryError as error:
        return view, (f"the robot stays in the image: {error}",)
    T_camera_link: dict[str, RigidTransform] = {}
    deadline = time.monotonic() + _ROBOT_TIMEOUT_S
    while len(T_camera_link) < len(geometry.link_names) and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=_SPIN_S)
        for link in geometry.link_names:
            if link not in T_camera_link:
                found = _transform(buffer, image, topics.frame_prefix + link, heard)
                if found is not None:
                    T_camera_link[link] = found
    missing = missing_links_sentence(geometry, T_camera_link)
    remarks = (*geometry.warnings, *((missing,) if missing else ()))
    return find_arm(geometry, view, T_camera_link).remaining, remarks


def _transform(buffer: Buffer, image: Image, frame: str, heard: _Heard) -> RigidTransform | None:
    """T_camera_frame at the image's stamp, if tf knows it by now; otherwise `heard` says why not."""
    header = image.header
    try:
        found = buffer.lookup_transform(header.frame_id, frame, Time.from_msg(header.stamp))
        return transform_from_message(found.transform)
    except (TransformException, ValueError) as error:
        heard.why_no_transform = f"no transform from '{frame}' to '{header.frame_id}' at the image's stamp: {error}"
        return None


def _why_nothing(node: Node, topics: LiveTopics, heard: _Heard, timeout_s: float) -> str:
    within = f"within {timeout_s:g} s"
    if heard.pair is not None:
        return f"{heard.why_no_transform} ({within}); publish it on /tf or /tf_static, or correct the frames' names"
    if heard.images == 0:
        publishers = node.count_publishers(topics.image)
        return (
            f"no depth image came on {topics.image} {within} ({publishers} publishers): start the camera, "
            "or name its topic with --topic"
        )
    return (
        f"images come on {topics.image}, but none with a camera info of the same stamp on {topics.camera_info} "
        f"{within}: name that topic with --camera-info"
    )
