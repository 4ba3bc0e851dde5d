"""The topics perception_node publishes, all latched: who comes late sees the newest detection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from giga_msgs.msg import GraspArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from trimesh import Trimesh
from visualization_msgs.msg import Marker, MarkerArray

from giga_perception.affordance_landscape import seen_landscape
from giga_perception.cloud_messages import affordance_cloud, tsdf_cloud
from giga_perception.detection import Detection
from giga_perception.grasp import Grasp
from giga_perception.grasp_messages import grasp_array_message
from giga_perception.marker_messages import grasp_markers
from giga_perception.mesh_messages import affordance_surface_marker, mesh_marker
from giga_perception.told_errors import told

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
AFFORDANCE_SHOWN_FROM = 0.1
"""Lowest quality in ~/affordance: below lies most of the volume, and nothing to look at."""

# How soon one who comes late sees something.
_LATECOMER_PERIOD_S = 0.2


@dataclass(frozen=True, eq=False)
class Shown:
    """A detection, the grasps of it that are given, and the header of all its messages."""

    detection: Detection
    grasps: tuple[Grasp, ...]
    header: Header


@dataclass(eq=False)
class _Picture:
    """A topic to look at: made in a thread of its own, and only when somebody listens."""

    publisher: Any
    message: Callable[[Any], Any]
    subject: object = None
    published: object = None


class PerceptionOutputs:
    """Lifecycle publishers: silent until the node is active.

    Grasps go out at once. What is only looked at follows from a thread of its own, so that it keeps no detection
    waiting, and costs nothing while nobody looks.
    """

    def __init__(self, node: LifecycleNode) -> None:
        """Advertise all topics of ``node``."""
        self._node = node
        self._grasps = node.create_lifecycle_publisher(GraspArray, "~/grasps", LATCHED)

        def picture(kind: type, topic: str, message: Callable[[Any], Any]) -> _Picture:
            return _Picture(node.create_lifecycle_publisher(kind, topic, LATCHED), message)

        self._of_detection = (
            picture(MarkerArray, "~/grasp_markers", lambda shown: grasp_markers(shown.grasps, shown.header)),
            picture(PointCloud2, "~/tsdf", lambda shown: tsdf_cloud(shown.detection.tsdf, shown.header)),
            picture(
                PointCloud2,
                "~/affordance",
                lambda shown: affordance_cloud(shown.detection, shown.header, AFFORDANCE_SHOWN_FROM),
            ),
            picture(
                Marker,
                "~/affordance_surface",
                lambda shown: affordance_surface_marker(seen_landscape(shown.detection), shown.header),
            ),
        )
        self._of_mesh = picture(Marker, "~/scene_mesh", lambda mesh_and_header: mesh_marker(*mesh_and_header))
        self._pictures = (*self._of_detection, self._of_mesh)
        self._changed = threading.Condition()
        self._closed = False
        self._painter = threading.Thread(target=self._paint, name="perception pictures", daemon=True)
        self._painter.start()

    def publish_detection(
        self, detection: Detection, grasps: tuple[Grasp, ...], workspace_frame: str, stamp_ns: int
    ) -> None:
        """These grasps of the detection, their markers, and its volumes, in the workspace frame."""
        header = _header(workspace_frame, stamp_ns)
        self._grasps.publish(grasp_array_message(grasps, detection.report, RigidTransform.identity(), header))
        shown = Shown(detection, grasps, header)
        self._show(self._of_detection, shown)

    def publish_mesh(self, mesh: Trimesh, workspace_frame: str, stamp_ns: int) -> None:
        """The reconstruction, in the workspace frame."""
        self._show((self._of_mesh,), (mesh, _header(workspace_frame, stamp_ns)))

    def close(self) -> None:
        """Take the topics back."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._painter.join()
        for publisher in (self._grasps, *(picture.publisher for picture in self._pictures)):
            self._node.destroy_lifecycle_publisher(publisher)

    def _show(self, pictures: tuple[_Picture, ...], subject: object) -> None:
        with self._changed:
            for picture in pictures:
                picture.subject = subject
            self._changed.notify()

    def _paint(self) -> None:
        while not self._closed:
            try:
                self._paint_what_is_wanted()
            except Exception as error:  # noqa: BLE001 (it would end this thread)
                if not self._node.context.ok():
                    return  # the process is ending, and its publishers have ended before it
                told(self._node, "the making of a picture", error)
                time.sleep(_LATECOMER_PERIOD_S)

    def _paint_what_is_wanted(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                if not self._wanted():
                    self._changed.wait(_LATECOMER_PERIOD_S)
                wanted = [(picture, picture.subject) for picture in self._wanted()]
            for picture, subject in wanted:
                picture.published = subject
                picture.publisher.publish(picture.message(subject))

    def _wanted(self) -> list[_Picture]:
        """What has changed since it was last published and has somebody who listens."""
        return [
            picture
            for picture in self._pictures
            if picture.subject is not picture.published
            and picture.publisher.is_activated
            and picture.publisher.get_subscription_count() > 0
        ]


def _header(frame_id: str, stamp_ns: int) -> Header:
    return Header(frame_id=frame_id, stamp=Time(nanoseconds=stamp_ns).to_msg())
