"""A bench whose camera and tf send what they are told, right or wrong, and whose node is taken down and up again."""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Transform, TransformStamped
from giga_msgs.msg import GraspArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState
from perception_bench import OPTICAL_FRAME, TIMEOUT_S, Bench, camera_info
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform, Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from table_scene import CAMERA, side_view_pose

IMAGE_PERIOD_S = 0.1
SECOND_NS = 10**9

IMAGE_TOPIC = "/camera/depth/image_rect_raw"
CAMERA_INFO_TOPIC = "/camera/depth/camera_info"
COMPRESSED_TOPIC = f"{IMAGE_TOPIC}/compressedDepth"

AWAY_FRAME = "camera_turned_away"
BEHIND_FRAME = "camera_turned_round"
TURNED_DEG = {OPTICAL_FRAME: 0.0, AWAY_FRAME: 80.0, BEHIND_FRAME: 180.0}
"""Frames of one camera that are known from the start, and how far each is turned sideways from the workspace."""


class FaultyCell(Bench):
    """`Bench` with messages made by hand: `image_message`, `info_message`."""

    def __init__(self) -> None:
        super().__init__()
        self.compressed = self.node.create_publisher(CompressedImage, COMPRESSED_TOPIC, qos_profile_sensor_data)
        self.get_state = self.client(GetState, "get_state")
        self.grasp_stamps_ns: list[int] = []
        self.node.create_subscription(GraspArray, f"/{self.name}/grasps", self._keep_stamp, QoSProfile(depth=100))
        self.place_all("workspace", {frame: _turned_camera(angle_deg) for frame, angle_deg in TURNED_DEG.items()})

    def _keep_stamp(self, grasps: GraspArray) -> None:
        self.grasp_stamps_ns.append(int(Time.from_msg(grasps.header.stamp).nanoseconds))

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    # The camera.

    def send(self, image: Image | CompressedImage, info: CameraInfo | None, stamp_ns: int | None = None) -> int:
        """Publish both under one stamp (now, unless told otherwise), which is returned."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        image.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        images, infos = self.camera("camera")
        if info is not None:
            info.header = image.header
            infos.publish(info)
        (self.compressed if isinstance(image, CompressedImage) else images).publish(image)
        return stamp_ns

    def send_info(self, info: CameraInfo, stamp_ns: int) -> None:
        """Publish a camera info alone."""
        info.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        self.camera("camera")[1].publish(info)

    def send_until_answered(
        self,
        future: Any,
        image: Image | CompressedImage,
        info: CameraInfo | None,
        stamp_ns: int | None = None,
        before: Callable[[], object] | None = None,
        after: Callable[[int], object] | None = None,
    ) -> Any:
        """Send them again and again, as a camera does, until the call is answered.

        ``before`` is called before each sending, ``after`` with its stamp after it.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while not future.done():
            assert time.monotonic() < deadline, "no answer in time"
            if before is not None:
                before()
            sent_ns = self.send(image, info, stamp_ns)
            time.sleep(IMAGE_PERIOD_S)
            if after is not None:
                after(sent_ns)
        return future.result()

    def answer_to(self, image: Image | CompressedImage, info: CameraInfo | None = None, **request: Any) -> Any:
        """The answer to a call for a fresh image, these being all that the camera shows."""
        future = self.start(self.detect, fresh_image=True, **request)
        return self.send_until_answered(future, image, info or info_message())

    def refusal(self, image: Image | CompressedImage, info: CameraInfo | None = None, **request: Any) -> str:
        """The sentence with which this is refused."""
        answer = self.answer_to(image, info, **request)
        assert not answer.success
        assert answer.grasps.grasps == []
        assert answer.message
        return str(answer.message)

    # Transforms.

    def put(self, frame: str, stamp_ns: int, transform: Transform | None = None) -> None:
        """Say on /tf where a camera of this frame is at this stamp: where it should be, unless told otherwise."""
        if transform is None:
            self.move("workspace", frame, side_view_pose().inv(), stamp_ns)
            return
        message = TransformStamped(child_frame_id=frame, transform=transform)
        message.header.frame_id = "workspace"
        message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        self.moving_transforms.sendTransform(message)

    # The node.

    def try_to(self, transition: int) -> bool:
        """Whether this transition succeeds."""
        return bool(self.call(self.change_state, transition=Transition(id=transition)).success)

    def clean_up(self) -> None:
        """Take the node down to unconfigured, from wherever it is."""
        for state, transition in (
            (State.PRIMARY_STATE_ACTIVE, Transition.TRANSITION_DEACTIVATE),
            (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_CLEANUP),
        ):
            if self.call(self.get_state).current_state.id == state:
                self.change(transition)

    def bring_up(self, **parameters: Any) -> None:
        """Configure and activate the node, after setting these parameters."""
        assert self.set(**parameters) == []
        self.change(Transition.TRANSITION_CONFIGURE)
        self.change(Transition.TRANSITION_ACTIVATE)


def image_message(
    depth_m: np.ndarray, encoding: str = "32FC1", order: str = "<", frame_id: str = OPTICAL_FRAME
) -> Image:
    """The image as a camera sends it, in the byte order ``order`` ("<" or ">")."""
    in_units = depth_m if encoding == "32FC1" else np.round(depth_m * 1000.0)
    pixels = np.ascontiguousarray(in_units.astype(order + ("f4" if encoding == "32FC1" else "u2")))
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(order == ">"),
        step=pixels.shape[1] * pixels.itemsize,
        data=array.array("B", pixels.tobytes()),
    )
    message.header.frame_id = frame_id
    return message


def info_message(**fields: Any) -> CameraInfo:
    """A camera info of `CAMERA` with a projection matrix; ``fields`` overwrite what belongs there."""
    P = [CAMERA.fx, 0.0, CAMERA.cx, 0.0, 0.0, CAMERA.fy, CAMERA.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return camera_info(**({"p": P} | fields))


def _turned_camera(angle_deg: float) -> RigidTransform:
    """T_workspace_camera of `side_view_pose`, turned sideways."""
    turn = RigidTransform.from_rotation(Rotation.from_euler("y", angle_deg, degrees=True))
    return side_view_pose().inv() * turn
