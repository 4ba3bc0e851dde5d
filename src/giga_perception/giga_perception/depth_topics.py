"""The depth camera's two topics: image and camera info of equal stamps, the newest pair kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from message_filters import Subscriber, TimeSynchronizer

IMAGE_TOPIC = "camera/depth/image_rect_raw"
CAMERA_INFO_TOPIC = "camera/depth/camera_info"
_QUEUE_SIZE = 10


@dataclass(frozen=True)
class DepthFrame:
    """An image, its camera info, the stamp of both, and when the pair came (this machine's monotonic clock)."""

    image: Image
    camera_info: CameraInfo
    stamp_ns: int
    received_s: float


class DepthTopics:
    """Subscriptions that keep the newest pair. Safe to use from several threads."""

    def __init__(self, node: Node, group: CallbackGroup, on_frame: Callable[[DepthFrame], None]) -> None:
        """Subscribe with ``node``; ``on_frame`` is called with every pair, in the thread that completed it."""
        self._node = node
        self._on_frame = on_frame
        self._changed = threading.Condition()
        self._newest: DepthFrame | None = None
        self._closed = False
        self._images = 0
        self._camera_infos = 0
        qos = {"qos_profile": qos_profile_sensor_data, "callback_group": group}
        self._image_input = Subscriber(node, Image, IMAGE_TOPIC, **qos)
        self._camera_info_input = Subscriber(node, CameraInfo, CAMERA_INFO_TOPIC, **qos)
        self._image_input.registerCallback(self._count_image)
        self._camera_info_input.registerCallback(self._count_camera_info)
        self._pairs = TimeSynchronizer([self._image_input, self._camera_info_input], _QUEUE_SIZE)
        self._pairs.registerCallback(self._keep)

    @property
    def image_topic(self) -> str:
        """The image topic's full name, remaps applied."""
        return str(self._node.resolve_topic_name(IMAGE_TOPIC))

    @property
    def camera_info_topic(self) -> str:
        """The camera info's full name, remaps applied."""
        return str(self._node.resolve_topic_name(CAMERA_INFO_TOPIC))

    def newest(self) -> DepthFrame | None:
        """The pair that came last, if any."""
        with self._changed:
            return self._newest

    def wait_for(self, not_before_ns: int, timeout_s: float) -> DepthFrame | None:
        """The newest pair once its stamp is at least ``not_before_ns``; None when time ran out, or after `close`."""

        def ready() -> bool:
            return self._closed or (self._newest is not None and self._newest.stamp_ns >= not_before_ns)

        with self._changed:
            self._changed.wait_for(ready, timeout_s)
            return self._newest if ready() and not self._closed else None

    def why_silent(self) -> str:
        """Which topic keeps a pair from coming, and what to do about it."""
        image_topic, info_topic = self.image_topic, self.camera_info_topic
        if self._images == 0:
            publishers = self._node.count_publishers(image_topic)
            remedy = "start the camera, or remap the topic" if publishers == 0 else "is the camera running?"
            return f"no depth image has come on {image_topic} ({publishers} publishers): {remedy}"
        if self._camera_infos == 0:
            publishers = self._node.count_publishers(info_topic)
            return (
                f"depth images come on {image_topic}, but no camera info on {info_topic} ({publishers} publishers): "
                "start the camera's driver, or remap the topic"
            )
        if self.newest() is None:
            return (
                f"images on {image_topic} and camera infos on {info_topic} never carry the same stamp: "
                "remap both topics to the same camera"
            )
        return f"no newer depth image comes on {image_topic}: is the camera still running?"

    def close(self) -> None:
        """Unsubscribe, and end all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._node.destroy_subscription(self._image_input.sub)
        self._node.destroy_subscription(self._camera_info_input.sub)

    def _count_image(self, image: Image) -> None:
        self._images += 1

    def _count_camera_info(self, camera_info: CameraInfo) -> None:
        self._camera_infos += 1

    def _keep(self, image: Image, camera_info: CameraInfo) -> None:
        stamp = image.header.stamp
        frame = DepthFrame(image, camera_info, stamp.sec * 10**9 + stamp.nanosec, time.monotonic())
        with self._changed:
            self._newest = frame
            self._changed.notify_all()
        self._on_frame(frame)
