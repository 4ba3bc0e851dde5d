"""The robot as the graph describes it: its shape from robot_description, its links' places at a stamp from tf."""

from __future__ import annotations

import threading
import time

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import String

from giga_perception.camera import DepthView
from giga_perception.robot_geometry import RobotGeometry, RobotGeometryError, read_robot_geometry
from giga_perception.robot_mask import ArmInView, find_arm, missing_links_sentence
from giga_perception.stamped_transforms import StampedTransforms

ROBOT_DESCRIPTION_TOPIC = "robot_description"
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
_POLL_S = 0.002


class RobotTopics:
    """Finds the robot in depth views, once a description has come. Safe to use from several threads."""

    def __init__(
        self, node: Node, group: CallbackGroup, transforms: StampedTransforms, growth_m: float, frame_prefix: str
    ) -> None:
        """Subscribe with ``node``. Links are taken ``growth_m`` larger; tf has them as ``frame_prefix`` + name."""
        self._node = node
        self._transforms = transforms
        self._growth_m = growth_m
        self._frame_prefix = frame_prefix
        self._lock = threading.Lock()
        self._was_read = threading.Event()
        self._geometry: RobotGeometry | None = None
        self._problem = ""
        self.missing = ""
        """Which links were not found in tf for the newest view, in a sentence; empty when all were."""
        self._without_transform: frozenset[str] = frozenset()
        self._subscription = node.create_subscription(
            String, ROBOT_DESCRIPTION_TOPIC, self._read, _LATCHED, callback_group=group
        )

    @property
    def is_known(self) -> bool:
        """Whether there is a robot to look for."""
        return self._geometry is not None

    def wait_for_description(self, timeout_s: float) -> None:
        """Wait for a description that somebody publishes and that has not been read yet, as right after the start."""
        topic = self._node.resolve_topic_name(ROBOT_DESCRIPTION_TOPIC)
        if not self._was_read.is_set() and self._node.count_publishers(topic) > 0:
            self._was_read.wait(timeout_s)

    @property
    def problem(self) -> str:
        """Why the robot, or a part of it, is not looked for; empty when all of it is."""
        return self._problem or self.missing

    def find(self, view: DepthView, camera_frame: str, stamp_ns: int, timeout_s: float) -> ArmInView | None:
        """The robot in a view taken from this frame at this stamp; None when nothing is known of it.

        Links whose transforms do not come within ``timeout_s`` stay in the image; `missing` then names them.
        """
        geometry = self._geometry
        if geometry is None:
            return None
        T_camera_link = self._places(geometry, camera_frame, stamp_ns, timeout_s)
        self.missing = missing_links_sentence(geometry, T_camera_link) or ""
        return find_arm(geometry, view, T_camera_link) if T_camera_link else None

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _places(
        self, geometry: RobotGeometry, camera_frame: str, stamp_ns: int, timeout_s: float
    ) -> dict[str, RigidTransform]:
        """T_camera_link of every link that tf knows; those it did not know last time are not waited for again."""
        deadline = time.monotonic() + timeout_s
        places: dict[str, RigidTransform] = {}
        while True:
            self._add_places(places, geometry, camera_frame, stamp_ns)
            missing = frozenset(geometry.link_names) - places.keys()
            if missing <= self._without_transform or time.monotonic() >= deadline:
                self._without_transform = missing
                return places
            time.sleep(_POLL_S)

    def _add_places(
        self, places: dict[str, RigidTransform], geometry: RobotGeometry, camera_frame: str, stamp_ns: int
    ) -> None:
        # From link to link, since neighbours in the description are mostly neighbours in tf: short chains are cheap.
        before, T_camera_before = camera_frame, RigidTransform.identity()
        for link in geometry.link_names:
            frame = self._frame_prefix + link
            if link not in places:
                T_before_link = self._transforms.known(before, frame, stamp_ns)
                if T_before_link is None:
                    continue
                places[link] = T_camera_before * T_before_link
            before, T_camera_before = frame, places[link]

    def _read(self, message: String) -> None:
        self._take(message)
        self._was_read.set()

    def _take(self, message: String) -> None:
        with self._lock:
            try:
                geometry = read_robot_geometry(message.data, self._growth_m)
            except RobotGeometryError as error:
                self._geometry, self._problem = None, str(error)
                self._node.get_logger().error(f"the robot stays in its own depth images: {error}")
                return
            self._geometry, self._problem = geometry, "; ".join(geometry.warnings)
        for warning in geometry.warnings:
            self._node.get_logger().warning(warning)
        self._node.get_logger().info(f"the robot's {len(geometry.link_names)} links are dropped from depth images")
