"""The topics perception_node publishes, all latched: who comes late sees the newest detection."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from giga_msgs.msg import GraspArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import RigidTransform
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from trimesh import Trimesh
from visualization_msgs.msg import Marker, MarkerArray

from giga_perception.cloud_messages import affordance_cloud, tsdf_cloud
from giga_perception.detection import Detection
from giga_perception.grasp_messages import grasp_array_message
from giga_perception.marker_messages import grasp_markers
from giga_perception.mesh_messages import mesh_marker

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
AFFORDANCE_SHOWN_FROM = 0.1
"""Lowest quality in ~/affordance: below lies most of the volume, and nothing to look at."""


class PerceptionOutputs:
    """Lifecycle publishers: silent until the node is active."""

    def __init__(self, node: LifecycleNode) -> None:
        """Advertise all topics of ``node``."""
        self._node = node
        self._grasps = node.create_lifecycle_publisher(GraspArray, "~/grasps", LATCHED)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/grasp_markers", LATCHED)
        self._tsdf = node.create_lifecycle_publisher(PointCloud2, "~/tsdf", LATCHED)
        self._affordance = node.create_lifecycle_publisher(PointCloud2, "~/affordance", LATCHED)
        self._mesh = node.create_lifecycle_publisher(Marker, "~/scene_mesh", LATCHED)

    def publish_detection(self, detection: Detection, workspace_frame: str, stamp: Time) -> None:
        """Grasps, their markers, and the two volumes, in the workspace frame."""
        header = Header(frame_id=workspace_frame, stamp=stamp)
        identity = RigidTransform.identity()
        self._grasps.publish(grasp_array_message(detection.grasps, detection.report, identity, header))
        self._markers.publish(grasp_markers(detection.grasps, header))
        self._tsdf.publish(tsdf_cloud(detection.tsdf, header))
        self._affordance.publish(affordance_cloud(detection, header, AFFORDANCE_SHOWN_FROM))

    def publish_mesh(self, mesh: Trimesh, workspace_frame: str, stamp: Time) -> None:
        """The reconstruction, in the workspace frame."""
        self._mesh.publish(mesh_marker(mesh, Header(frame_id=workspace_frame, stamp=stamp)))

    def close(self) -> None:
        """Take the topics back."""
        for publisher in (self._grasps, self._markers, self._tsdf, self._affordance, self._mesh):
            self._node.destroy_lifecycle_publisher(publisher)
