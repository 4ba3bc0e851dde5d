"""What the camera sees at a moment: the depth image, its camera, and where camera and robot stand."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform, Rotation
from sensor_msgs.msg import CameraInfo, Image

from message_filters import Subscriber, TimeSynchronizer
from tf2_ros import Buffer, TransformException, TransformListener

IMAGE_TOPIC = "/camera/depth/image_rect_raw"
CAMERA_INFO_TOPIC = "/camera/depth/camera_info"
WORKSPACE_FRAME = "workspace"


@dataclass(frozen=True)
class RecordedScene:
    """What the camera saw, and where camera and robot stood."""

    image: Image
    camera_info: CameraInfo
    T_camera_workspace: RigidTransform
    T_workspace_base: RigidTransform


class SceneRecorder:
    """Listens while it is open; use it as a context manager.

    Images and transforms come in at many times their real rate in a fast simulation: nobody should listen for longer
    than he needs to.
    """

    def __init__(self, node: Node, base_frame: str) -> None:
        self._node = node
        self._base_frame = base_frame
        self._newest: tuple[Image, CameraInfo] | None = None
        self.why_not = f"nothing came on {IMAGE_TOPIC} with a {CAMERA_INFO_TOPIC} of the same stamp"

    def __enter__(self) -> SceneRecorder:
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self._node)
        topics = ((Image, IMAGE_TOPIC), (CameraInfo, CAMERA_INFO_TOPIC))
        self._inputs = [Subscriber(self._node, kind, topic, qos_profile_sensor_data) for kind, topic in topics]
        self._synchronizer = TimeSynchronizer(self._inputs, 10)
        self._synchronizer.registerCallback(self._on_image)
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.unregister()
        for each in self._inputs:
            self._node.destroy_subscription(each.sub)

    def scene_since(self, since: Time) -> RecordedScene | None:
        """The newest image if it is stamped `since` or later and its transforms are known; else `why_not` says why."""
        if self._newest is None:
            return None
        image, info = self._newest
        stamp = Time.from_msg(image.header.stamp)
        if stamp < since:
            self.why_not = f"the newest depth image is {(since - stamp).nanoseconds / 1e9:.2f} s older than the scene"
            return None
        try:
            T_camera_workspace = self._transform(image.header.frame_id, WORKSPACE_FRAME, stamp)
            T_workspace_base = self._transform(WORKSPACE_FRAME, self._base_frame, stamp)
        except TransformException as error:
            self.why_not = f"a transform between robot, {WORKSPACE_FRAME} and camera is missing: {error}"
            return None
        return RecordedScene(image, info, T_camera_workspace, T_workspace_base)

    def _transform(self, target_frame: str, source_frame: str, stamp: Time) -> RigidTransform:
        found = self._buffer.lookup_transform(target_frame, source_frame, stamp).transform
        t, r = found.translation, found.rotation
        return RigidTransform.from_components([t.x, t.y, t.z], Rotation.from_quat([r.x, r.y, r.z, r.w]))

    def _on_image(self, image: Image, info: CameraInfo) -> None:
        self._newest = (image, info)
