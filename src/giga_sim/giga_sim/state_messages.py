"""ROS messages of the robot's state, built once and filled again each time: they go out a hundred times a second."""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Transform, TransformStamped
from scipy.spatial.transform import RigidTransform
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_msgs.msg import TFMessage

from giga_sim.cell import CellCamera
from giga_sim.link_transforms import LinkJoint
from giga_sim.mock_panda import JointReadings

NANOSECONDS = 1_000_000_000


def stamp_from(time_ns: int) -> Time:
    """`time_ns` since the clock's zero as a message."""
    return Time(sec=time_ns // NANOSECONDS, nanosec=time_ns % NANOSECONDS)


def transform_message(T_parent_child: RigidTransform) -> Transform:
    """A transform as its message."""
    message = Transform()
    x, y, z = T_parent_child.translation.tolist()
    message.translation.x, message.translation.y, message.translation.z = x, y, z
    x, y, z, w = T_parent_child.rotation.as_quat().tolist()
    message.rotation.x, message.rotation.y, message.rotation.z, message.rotation.w = x, y, z, w
    return message


def pose_message(T_frame_body: RigidTransform) -> Pose:
    """A body's pose as its message."""
    message = Pose()
    x, y, z = T_frame_body.translation.tolist()
    message.position.x, message.position.y, message.position.z = x, y, z
    x, y, z, w = T_frame_body.rotation.as_quat().tolist()
    message.orientation.x, message.orientation.y, message.orientation.z, message.orientation.w = x, y, z, w
    return message


def static_transforms(transforms: Sequence[tuple[str, str, RigidTransform]], stamp: Time) -> TFMessage:
    """Parent frame, child frame and T_parent_child of each, as one message for /tf_static."""
    message = TFMessage()
    for parent, child, T_parent_child in transforms:
        stamped = TransformStamped()
        stamped.header.stamp = stamp
        stamped.header.frame_id = parent
        stamped.child_frame_id = child
        stamped.transform = transform_message(T_parent_child)
        message.transforms.append(stamped)
    return message


class JointStateMessage:
    """The joint_states message of arm and fingers."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        self.message = JointState(name=list(joint_names))

    def fill(self, readings: JointReadings, stamp: Time) -> JointState:
        """The message for these readings; the same object each time."""
        message = self.message
        message.header.stamp = stamp
        message.position = _doubles(readings.arm_positions, readings.finger_positions)
        message.velocity = _doubles(readings.arm_velocities, readings.finger_velocities)
        message.effort = _doubles(readings.arm_efforts, readings.finger_efforts)
        return message


class LinkTransformsMessage:
    """The /tf message of the links that move."""

    def __init__(self, joints: Sequence[LinkJoint]) -> None:
        self._joints = tuple(joints)
        self.message = TFMessage()
        for joint in self._joints:
            stamped = TransformStamped()
            stamped.header.frame_id = joint.parent_frame
            stamped.child_frame_id = joint.child_frame
            self.message.transforms.append(stamped)

    def fill(self, positions: Mapping[str, float], stamp: Time) -> TFMessage:
        """The message for these joint positions (rad, m) by name; the same object each time."""
        for joint, stamped in zip(self._joints, self.message.transforms, strict=True):
            stamped.header.stamp = stamp
            (x, y, z), (qx, qy, qz, qw) = joint.child_pose(positions.get(joint.name, 0.0))
            translation, rotation = stamped.transform.translation, stamped.transform.rotation
            translation.x, translation.y, translation.z = x, y, z
            rotation.x, rotation.y, rotation.z, rotation.w = qx, qy, qz, qw
        return self.message


def depth_image_message(depth_m: np.ndarray, frame: str, stamp: Time) -> Image:
    """A depth image (float32 [H, W], metres, 0 = no reading) as 32FC1."""
    height, width = depth_m.shape
    message = Image(height=height, width=width, encoding="32FC1", is_bigendian=0, step=4 * width)
    message.header.stamp = stamp
    message.header.frame_id = frame
    # An array.array travels without a copy for each element; a list or bytes would not.
    message.data = array.array("B", np.ascontiguousarray(depth_m, dtype="<f4").tobytes())
    return message


def camera_info_message(camera: CellCamera, frame: str) -> CameraInfo:
    """The intrinsics of the cell's camera: no distortion, no rectification."""
    focal = camera.focal_length_px
    centre_x, centre_y = camera.centre_px
    message = CameraInfo(height=camera.height, width=camera.width, distortion_model="plumb_bob")
    message.header.frame_id = frame
    message.d = [0.0] * 5
    message.k = [focal, 0.0, centre_x, 0.0, focal, centre_y, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, centre_x, 0.0, 0.0, focal, centre_y, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def _doubles(arm: np.ndarray, fingers: np.ndarray) -> array.array[float]:
    return array.array("d", np.concatenate((arm, fingers)).tobytes())
