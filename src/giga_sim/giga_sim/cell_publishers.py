"""What the simulated cell tells the graph: clock, joint states, transforms, robot description, depth images."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import RigidTransform
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from giga_perception.depth_noise import add_depth_noise
from giga_sim.faults import CAMERA_DEAD
from giga_sim.link_transforms import read_link_joints
from giga_sim.simulated_cell import SimulatedCell
from giga_sim.state_messages import (
    JointStateMessage,
    LinkTransformsMessage,
    camera_info_message,
    depth_image_message,
    stamp_from,
    static_transforms,
)

WORKSPACE_FRAME = "workspace"
CAMERA_FRAME = "camera_depth_optical_frame"

_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Offered as reliable; whoever asks for sensor data's best effort is served as well.
_IMAGES = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)


class CellPublishers:
    """Publishes the cell's state; its methods run in the simulation's thread.

    `noise_seed` None publishes the camera's exact depths.
    """

    def __init__(
        self, node: Node, cell: SimulatedCell, description: str, noise_seed: int | None, publish_robot: bool
    ) -> None:
        profile = cell.profile
        self._cell = cell
        self._noise_seed = noise_seed
        self._joint_names = profile.joint_names
        joints = read_link_joints(description)
        self._joint_state = JointStateMessage(profile.joint_names)
        self._link_transforms = LinkTransformsMessage(joints)
        self._camera_info = camera_info_message(cell.cell.camera, CAMERA_FRAME)
        self._image: Image | None = None
        self._stamp = Time()
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self._joint_states = node.create_publisher(JointState, "joint_states", 10)
        self._images = node.create_publisher(Image, "camera/depth/image_rect_raw", _IMAGES)
        self._infos = node.create_publisher(CameraInfo, "camera/depth/camera_info", _IMAGES)
        self._tf = node.create_publisher(TFMessage, "/tf", 100) if publish_robot else None
        self._tf_static = node.create_publisher(TFMessage, "/tf_static", _LATCHED)
        self._tf_static.publish(self._static_transforms())
        if publish_robot:
            self._description = node.create_publisher(String, "robot_description", _LATCHED)
            self._description.publish(String(data=description))

    def publish_state(self) -> None:
        """Clock, joint states and moving transforms as they are now."""
        cell = self._cell
        stamp = self._stamp = stamp_from(cell.time_ns)
        self._clock.publish(Clock(clock=stamp))
        readings = cell.readings
        self._joint_states.publish(self._joint_state.fill(readings, stamp))
        if self._tf is not None:
            values = readings.arm_positions.tolist() + readings.finger_positions.tolist()
            positions = dict(zip(self._joint_names, values, strict=True))
            self._tf.publish(self._link_transforms.fill(positions, stamp))

    def publish_image(self) -> None:
        """A depth image of the scene as it is now, unless the camera is dead."""
        if CAMERA_DEAD in self._cell.faults:
            self._image = None
            return
        depth_m = self._cell.render_depth()
        if self._noise_seed is not None:
            # Drawn from (seed, stamp), so that the same moment has the same image whenever it is looked at.
            rng = np.random.default_rng([self._noise_seed, self._cell.time_ns])
            depth_m = add_depth_noise(depth_m, rng)
        stamp = stamp_from(self._cell.time_ns)
        self._image = depth_image_message(depth_m, CAMERA_FRAME, stamp)
        self._camera_info.header.stamp = stamp
        self._publish_image()

    def repeat(self) -> None:
        """Publish the last state and image once more, with the same stamps."""
        self._clock.publish(Clock(clock=self._stamp))
        self._joint_states.publish(self._joint_state.message)
        if self._tf is not None:
            self._tf.publish(self._link_transforms.message)
        if CAMERA_DEAD in self._cell.faults:
            self._image = None
        self._publish_image()

    def _publish_image(self) -> None:
        if self._image is not None:
            self._infos.publish(self._camera_info)
            self._images.publish(self._image)

    def _static_transforms(self) -> TFMessage:
        cell, profile = self._cell, self._cell.profile
        transforms: list[tuple[str, str, RigidTransform]] = [
            (profile.tcp_parent_frame, profile.tcp_frame, profile.T_parent_tcp),
            (profile.base_frame, WORKSPACE_FRAME, cell.cell.T_base_workspace),
            (WORKSPACE_FRAME, CAMERA_FRAME, cell.T_camera_workspace.inv()),
        ]
        return static_transforms(transforms, stamp_from(cell.time_ns))
