"""What planning and execution need to know of one robot, read from `config/robots/<name>.yaml` and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.configuration import ConfigurationError, number, numbers, rigid_transform, section, strings

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class JointLimits:
    """Limits of the arm's joints, each [7], in the order of `RobotProfile.arm_joints`."""

    lower_rad: FloatArray
    upper_rad: FloatArray
    velocity_rad_s: FloatArray
    acceleration_rad_s2: FloatArray
    jerk_rad_s3: FloatArray

    def margin_rad(self, joints_rad: FloatArray) -> FloatArray:
        """Distance of each configuration [..., 7] to its nearest position limit [...]; negative outside."""
        nearest = np.minimum(joints_rad - self.lower_rad, self.upper_rad - joints_rad)
        return np.asarray(nearest.min(axis=-1))


@dataclass(frozen=True)
class ToolCentrePoint:
    """The point between the finger pads and where it sits on the hand."""

    frame: str
    parent: str
    T_parent_tcp: RigidTransform
    finger_overhang_m: float
    """How far the finger ends reach beyond the TCP along its z."""


@dataclass(frozen=True)
class RobotProfile:
    """One robot: names, limits, tool centre point, known configurations, gripper."""

    name: str
    base_frame: str
    hand_frame: str
    tcp: ToolCentrePoint
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    limits: JointLimits
    configurations: Mapping[str, FloatArray]
    """Named joint configurations [7] in radians."""
    named_poses: Mapping[str, RigidTransform]
    """Named poses T_workspace_tcp."""
    controller: str
    gripper: str
    gripper_max_width_m: float
    gripper_speed_m_s: float
    gripper_force_n: float


def load_robot_profile(path: Path) -> RobotProfile:
    """Read and check a robot profile.

    Raises:
        ConfigurationError: the file is missing or not what a profile should be; the sentence names file and field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The robot profile {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"The robot profile {path} is not a mapping of fields to values.")
    try:
        return _robot_profile(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"In the robot profile {path}: {error}") from error


def _robot_profile(content: dict[str, Any]) -> RobotProfile:
    arm_joints = strings(content, "arm_joints")
    joint_count = len(arm_joints)
    limits = _joint_limits(section(content, "limits"), joint_count)
    tcp = section(content, "tcp")
    configurations = {
        str(name): numbers(section(content, "configurations"), str(name), joint_count)
        for name in section(content, "configurations")
    }
    for name, configuration in configurations.items():
        if limits.margin_rad(configuration) < 0.0:
            raise ConfigurationError(f"configuration '{name}' lies outside the joint limits.")
    poses = section(content, "named_poses")
    max_width_m = number(content, "gripper_max_width_m")
    if not 0.0 < max_width_m < 1.0:
        raise ConfigurationError(f"gripper_max_width_m is {max_width_m}; it should lie between 0 and 1 m.")
    return RobotProfile(
        name=str(content.get("name", "")),
        base_frame=_text(content, "base_frame"),
        hand_frame=_text(content, "hand_frame"),
        tcp=ToolCentrePoint(
            frame=_text(tcp, "frame"),
            parent=_text(tcp, "parent"),
            T_parent_tcp=rigid_transform(tcp),
            finger_overhang_m=number(tcp, "finger_overhang_m"),
        ),
        arm_joints=arm_joints,
        finger_joints=strings(content, "finger_joints"),
        limits=limits,
        configurations=configurations,
        named_poses={str(name): rigid_transform(section(poses, str(name))) for name in poses},
        controller=_text(content, "controller"),
        gripper=_text(content, "gripper"),
        gripper_max_width_m=max_width_m,
        gripper_speed_m_s=number(content, "gripper_speed_m_s"),
        gripper_force_n=number(content, "gripper_force_n"),
    )


def _joint_limits(content: dict[str, Any], joint_count: int) -> JointLimits:
    limits = JointLimits(
        lower_rad=numbers(content, "lower_rad", joint_count),
        upper_rad=numbers(content, "upper_rad", joint_count),
        velocity_rad_s=numbers(content, "velocity_rad_s", joint_count),
        acceleration_rad_s2=numbers(content, "acceleration_rad_s2", joint_count),
        jerk_rad_s3=numbers(content, "jerk_rad_s3", joint_count),
    )
    if np.any(limits.lower_rad >= limits.upper_rad):
        raise ConfigurationError("a lower_rad is not below its upper_rad.")
    for name in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
        if np.any(getattr(limits, name) <= 0.0):
            raise ConfigurationError(f"every {name} has to be above zero.")
    return limits


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"'{name}' is missing or not a name.")
    return value
