"""One depth camera's topics: image and camera info of equal stamps, the newest pair kept."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from message_filters import Subscriber, TimeSynchronizer

IMAGE_TOPIC = "depth/image_rect_raw"
CAMERA_INFO_TOPIC = "depth/camera_info"
COMPRESSED_DEPTH = "compressedDepth"
_QUEUE_SIZE = 10

# An image stamped this much before the newest has been overtaken by it; one stamped earlier still comes from a clock
# that was set back (a simulation reset, a recording that begins again).
_OVERTAKEN_NS = 500_000_000

# The image rate is that of this many images, the last ones.
_RATE_IMAGES = 20


@dataclass(frozen=True, eq=False)
class DepthFrame:
    """An image, its camera info, the stamp of both, and when the pair came (this machine's monotonic clock).

    ``after_reset``: the stamp lies well before that of the pair before, so the camera's clock was set back.
    """

    image: Image | CompressedImage
    camera_info: CameraInfo
    stamp_ns: int
    received_s: float
    after_reset: bool = False


class DepthTopics:
    """Subscriptions that keep the newest pair. Safe to use from several threads."""

    def __init__(
        self, node: Node, group: CallbackGroup, prefix: str, transport: str, on_frame: Callable[[DepthFrame], None]
    ) -> None:
        """Subscribe with ``node`` to the camera of this topic prefix.

        ``transport``: raw or compressedDepth. ``on_frame`` is called with every pair that is newer than those before,
        in the thread that completed it.
        """
        self.prefix = prefix
        self._node = node
        self._on_frame = on_frame
        self._changed = threading.Condition()
        self._newest: DepthFrame | None = None
        self._closed = False
        self._images = 0
        self._camera_infos = 0
        self._images_since_pair = 0
        self._overtaken = 0
        self._received_s: deque[float] = deque(maxlen=_RATE_IMAGES)
        compressed = transport == COMPRESSED_DEPTH
        image_topic = node.resolve_topic_name(f"{prefix}/{IMAGE_TOPIC}")
        # As image_transport does: the image's own name, remaps applied, and the transport's after it.
        self._image_name = f"{image_topic}/{COMPRESSED_DEPTH}" if compressed else f"{prefix}/{IMAGE_TOPIC}"
        self._camera_info_name = f"{prefix}/{CAMERA_INFO_TOPIC}"
        qos = {"qos_profile": qos_profile_sensor_data, "callback_group": group}
        self._image_input = Subscriber(node, CompressedImage if compressed else Image, self._image_name, **qos)
        self._camera_info_input = Subscriber(node, CameraInfo, self._camera_info_name, **qos)
        self._image_input.registerCallback(self._count_image)
        self._camera_info_input.registerCallback(self._count_camera_info)
        self._pairs = TimeSynchronizer([self._image_input, self._camera_info_input], _QUEUE_SIZE)
        self._pairs.registerCallback(self._keep)

    @property
    def image_topic(self) -> str:
        """The image topic's full name, remaps applied."""
        return str(self._node.resolve_topic_name(self._image_name))

    @property
    def camera_info_topic(self) -> str:
        """The camera info's full name, remaps applied."""
        return str(self._node.resolve_topic_name(self._camera_info_name))

    @property
    def overtaken(self) -> int:
        """How many images came after one of a later stamp, and were passed over."""
        return self._overtaken

    @property
    def rate_hz(self) -> float | None:
        """Images a second of wall time, over the last ones and until now; None with fewer than two."""
        with self._changed:
            received_s = list(self._received_s)
        if len(received_s) < 2:
            return None
        return len(received_s) / max(time.monotonic() - received_s[0], 1e-6)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def newest(self) -> DepthFrame | None:
        """The newest pair, if any."""
        with self._changed:
            return self._newest

    def wait_for(self, not_before_ns: int, timeout_s: float) -> DepthFrame | None:
        """The newest pair once its stamp is at least ``not_before_ns``; None when time ran out, or after `close`."""

        def ready() -> bool:
            return self._closed or (self._newest is not None and self._newest.stamp_ns >= not_before_ns)

        with self._changed:
            return self._newest if self._changed.wait_for(ready, timeout_s) and not self._closed else None

    def forget(self) -> None:
        """Drop all that has come: its stamps are of a clock that was set back."""
        with self._pairs.lock:
            for queue in self._pairs.queues:
                queue.clear()
        with self._changed:
            self._newest = None

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
        # One image may just wait for its camera info.
        if self._images_since_pair > 1:
            return (
                f"depth images still come on {image_topic}, but no camera info of the same stamps on {info_topic}: "
                "is the camera's driver still running, and do both topics come from it?"
            )
        return f"no newer depth image comes on {image_topic}: is the camera still running?"

    def close(self) -> None:
        """Unsubscribe, and end all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._node.destroy_subscription(self._image_input.sub)
        self._node.destroy_subscription(self._camera_info_input.sub)

    def _count_image(self, image: Image | CompressedImage) -> None:
        self._images += 1
        self._images_since_pair += 1

    def _count_camera_info(self, camera_info: CameraInfo) -> None:
        self._camera_infos += 1

    def _keep(self, image: Image | CompressedImage, camera_info: CameraInfo) -> None:
        stamp_ns = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        received_s = time.monotonic()
        with self._changed:
            self._received_s.append(received_s)
            self._images_since_pair = 0
            behind_ns = 0 if self._newest is None else self._newest.stamp_ns - stamp_ns
            if 0 < behind_ns <= _OVERTAKEN_NS:
                self._overtaken += 1
                return
            frame = self._newest = DepthFrame(image, camera_info, stamp_ns, received_s, behind_ns > 0)
            self._changed.notify_all()
        self._on_frame(frame)
