"""The robot's facts, read from `config/robots/<robot>.yaml`: names, limits, named configurations, gripper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_sim.config_file import ConfigSection, read_config

ARM_JOINT_COUNT = 7
FINGER_COUNT = 2


@dataclass(frozen=True)
class JointLimits:
    """Limits of the arm's joints, each an array [7] in the order of `RobotProfile.arm_joints`."""

    lower_rad: np.ndarray
    upper_rad: np.ndarray
    velocity_rad_s: np.ndarray
    acceleration_rad_s2: np.ndarray
    jerk_rad_s3: np.ndarray
    torque_nm: np.ndarray


@dataclass(frozen=True)
class RobotProfile:
    """Everything about the robot that is not the cell's; frames and joints are named as on the wire."""

    name: str
    base_frame: str
    hand_frame: str
    tcp_frame: str
    tcp_parent_frame: str
    T_parent_tcp: RigidTransform
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    limits: JointLimits
    home_rad: np.ndarray
    controller: str
    gripper: str
    gripper_max_width_m: float
    gripper_speed_m_s: float
    gripper_force_n: float

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Arm joints, then finger joints: the order of joint states."""
        return self.arm_joints + self.finger_joints


def read_robot_profile(path: Path) -> RobotProfile:
    """The profile in the file at `path`.

    Raises ConfigFileError, with a sentence for the user, when a field is missing or cannot be used.
    """
    top = read_config(path)
    limits = _read_limits(top.section("limits"))
    configurations = top.section("configurations")
    home_rad = np.array(configurations.vector("home", ARM_JOINT_COUNT))
    if np.any(home_rad < limits.lower_rad) or np.any(home_rad > limits.upper_rad):
        raise configurations.error("home", "lies outside limits.lower_rad and limits.upper_rad")
    tcp = top.section("tcp")
    return RobotProfile(
        name=top.text("name"),
        base_frame=top.text("base_frame"),
        hand_frame=top.text("hand_frame"),
        tcp_frame=tcp.text("frame"),
        tcp_parent_frame=tcp.text("parent"),
        T_parent_tcp=tcp.transform(""),
        arm_joints=top.texts("arm_joints", ARM_JOINT_COUNT),
        finger_joints=top.texts("finger_joints", FINGER_COUNT),
        limits=limits,
        home_rad=home_rad,
        controller=top.text("controller"),
        gripper=top.text("gripper"),
        gripper_max_width_m=top.number("gripper_max_width_m", positive=True),
        gripper_speed_m_s=top.number("gripper_speed_m_s", positive=True),
        gripper_force_n=top.number("gripper_force_n", positive=True),
    )


def _read_limits(section: ConfigSection) -> JointLimits:
    limits = JointLimits(
        lower_rad=np.array(section.vector("lower_rad", ARM_JOINT_COUNT)),
        upper_rad=np.array(section.vector("upper_rad", ARM_JOINT_COUNT)),
        velocity_rad_s=np.array(section.vector("velocity_rad_s", ARM_JOINT_COUNT, positive=True)),
        acceleration_rad_s2=np.array(section.vector("acceleration_rad_s2", ARM_JOINT_COUNT, positive=True)),
        jerk_rad_s3=np.array(section.vector("jerk_rad_s3", ARM_JOINT_COUNT, positive=True)),
        torque_nm=np.array(section.vector("torque_nm", ARM_JOINT_COUNT, positive=True)),
    )
    if np.any(limits.lower_rad >= limits.upper_rad):
        raise section.error("lower_rad", "must lie below upper_rad for every joint")
    return limits
