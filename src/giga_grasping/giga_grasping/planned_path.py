"""Planned motions drawn as lines of the tool centre point, for RViz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import ColorRGBA, String
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from giga_grasping.robot_profile import RobotProfile

if TYPE_CHECKING:
    from giga_grasping.arm_model import ArmModel

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LINE_WIDTH_M = 0.004
POINTS_A_LINE = 60
# Reach, approach, retreat; a single free motion takes the first.
COLOURS = ((0.16, 0.50, 0.73), (0.90, 0.49, 0.13), (0.15, 0.68, 0.38))


class PlannedPath:
    """Publishes `~/planned_path`. The kinematics come from robot_description; without it nothing is drawn."""

    def __init__(self, node: Node, profile: RobotProfile) -> None:
        self._node = node
        self._profile = profile
        self._urdf = ""
        self._model: ArmModel | None = None
        self._publisher = node.create_publisher(MarkerArray, "~/planned_path", LATCHED)
        node.create_subscription(String, "robot_description", self._on_description, LATCHED)

    def _on_description(self, message: String) -> None:
        self._urdf, self._model = message.data, None

    def show(self, trajectories: Sequence[JointTrajectory]) -> None:
        """Draw these motions and remove what was drawn before."""
        if not self._urdf:
            self._node.get_logger().warning("no robot_description: ~/planned_path stays empty", once=True)
            return
        from giga_grasping.arm_model import ArmModel, RobotDescriptionError

        try:
            model = self._model or ArmModel(self._urdf, self._profile)
        except RobotDescriptionError as error:
            self._node.get_logger().warning(f"~/planned_path stays empty: {error}", once=True)
            return
        self._model = model
        markers = [Marker(action=Marker.DELETEALL)]
        markers += [
            self._line(model, index, trajectory) for index, trajectory in enumerate(trajectories) if trajectory.points
        ]
        self._publisher.publish(MarkerArray(markers=markers))

    def _line(self, model: ArmModel, index: int, trajectory: JointTrajectory) -> Marker:
        marker = Marker(ns="planned_path", id=index, type=Marker.LINE_STRIP, action=Marker.ADD)
        marker.header.frame_id = self._profile.base_frame
        marker.pose.orientation.w = 1.0
        marker.scale.x = LINE_WIDTH_M
        red, green, blue = COLOURS[index % len(COLOURS)]
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        order = [trajectory.joint_names.index(name) for name in self._profile.arm_joints]
        chosen = np.unique(np.linspace(0, len(trajectory.points) - 1, POINTS_A_LINE).astype(int))
        for number in chosen:
            joints = np.asarray(trajectory.points[number].positions)[order]
            x, y, z = (float(value) for value in model.T_base_tcp(joints).translation)
            marker.points.append(Point(x=x, y=y, z=z))
        return marker
