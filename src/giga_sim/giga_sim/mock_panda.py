"""The mock Panda's body in PyBullet: arm and hand, their drives, and what their sensors say. No ROS, no goals.

Drives are PyBullet's joint motors: velocity constraints solved together with gravity and contacts, limited by the
joint's torque. At each step a motor is asked for the velocity `gain * (q_from - q) / dt + (q_to - q_from) / dt`, where
the setpoint goes from q_from to q_to during the step. Gravity is compensated by the constraint itself, the second term
is the feed-forward; together the arm follows a smooth trajectory without lag, as long as the torques suffice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pybullet_utils.bullet_client import BulletClient
from scipy.spatial.transform import RigidTransform, Rotation

from giga_sim.robot_description import panda_urdf_file
from giga_sim.robot_profile import RobotProfile
from giga_sim.simulated_gripper import FingerTarget

POSITION_GAIN = 0.3
FINGER_POSITION_GAIN = 0.3
# Velocities fed forward stay below this many times the joints' limits.
FEED_FORWARD_LIMIT = 2.0
# The fingers' pads, as those of the free hand.
FINGER_LATERAL_FRICTION = 1.0
FINGER_SPINNING_FRICTION = 0.1
CONTACT_STIFFNESS = 30000.0
CONTACT_DAMPING = 1000.0
# One motor drives both of the real hand's fingers; this is how firmly the simulated ones are coupled.
FINGER_COUPLING_FORCE_N = 500.0
FINGER_COUPLING_ERP = 0.2


@dataclass(frozen=True)
class JointReadings:
    """Measured positions (rad; fingers m), velocities and efforts (N m; N), arm joints [7] and fingers [2]."""

    arm_positions: np.ndarray
    arm_velocities: np.ndarray
    arm_efforts: np.ndarray
    finger_positions: np.ndarray
    finger_velocities: np.ndarray
    finger_efforts: np.ndarray

    @property
    def width_m(self) -> float:
        """Distance between the pads."""
        return float(self.finger_positions[0] + self.finger_positions[1])

    @property
    def width_rate_m_s(self) -> float:
        """Rate of change of the distance between the pads."""
        return float(self.finger_velocities[0] + self.finger_velocities[1])


class MockPanda:
    """The arm in a PyBullet world whose frame is `workspace`, with its base fixed at `T_world_base`."""

    def __init__(
        self, client: BulletClient, profile: RobotProfile, T_world_base: RigidTransform, time_step_s: float
    ) -> None:
        self._client = client
        self._profile = profile
        self._T_world_base = T_world_base
        self._time_step_s = time_step_s
        self.body = client.loadURDF(
            str(panda_urdf_file()),
            basePosition=T_world_base.translation.tolist(),
            baseOrientation=T_world_base.rotation.as_quat().tolist(),
            useFixedBase=True,
        )
        joint_indices = {}
        self.link_indices: dict[str, int] = {profile.base_frame: -1}
        for index in range(client.getNumJoints(self.body)):
            info = client.getJointInfo(self.body, index)
            joint_indices[info[1].decode()] = index
            self.link_indices[info[12].decode()] = index
        self._arm = [joint_indices[name] for name in profile.arm_joints]
        self._fingers = [joint_indices[name] for name in profile.finger_joints]
        self._torques = profile.limits.torque_nm.tolist()
        self._arm_gains = [POSITION_GAIN] * len(self._arm)
        self._arm_velocity_gains = [1.0] * len(self._arm)
        self._couple_fingers()
        self._setpoint = profile.home_rad.copy()
        self._finger_setpoint_m = profile.gripper_max_width_m / 2.0
        self.place(profile.home_rad, profile.gripper_max_width_m)

    def place(self, arm_positions: np.ndarray, width_m: float) -> None:
        """Put the arm's joints [7] and the fingers there at once, at rest."""
        for index, position in zip(self._arm, arm_positions.tolist(), strict=True):
            self._client.resetJointState(self.body, index, position)
        for index in self._fingers:
            self._client.resetJointState(self.body, index, width_m / 2.0)
        self._setpoint = np.array(arm_positions, dtype=float)
        self._finger_setpoint_m = width_m / 2.0

    def drive_arm(self, positions: np.ndarray) -> None:
        """Lead the arm from where it was last told to be to `positions` [7] during the coming step.

        Positions too far from there for the joints' velocity limits (after a stop) are taken over as they are.
        """
        client = self._client
        velocities = (positions - self._setpoint) / self._time_step_s
        if np.any(np.abs(velocities) > FEED_FORWARD_LIMIT * self._profile.limits.velocity_rad_s):
            self._setpoint = np.array(positions, dtype=float)
            velocities = np.zeros(len(positions))
        client.setJointMotorControlArray(
            self.body,
            self._arm,
            client.POSITION_CONTROL,
            targetPositions=self._setpoint.tolist(),
            targetVelocities=velocities.tolist(),
            forces=self._torques,
            positionGains=self._arm_gains,
            velocityGains=self._arm_velocity_gains,
        )
        self._setpoint = np.array(positions, dtype=float)

    def drive_fingers(self, target: FingerTarget) -> None:
        """Lead both fingers to half of the target's width each, with at most its force on each."""
        client = self._client
        client.setJointMotorControlArray(
            self.body,
            self._fingers,
            client.POSITION_CONTROL,
            targetPositions=[self._finger_setpoint_m] * 2,
            targetVelocities=[target.rate_m_s / 2.0] * 2,
            forces=[target.force_n] * 2,
            positionGains=[FINGER_POSITION_GAIN] * 2,
            velocityGains=[1.0] * 2,
        )
        self._finger_setpoint_m = target.width_m / 2.0

    def read(self) -> JointReadings:
        """What the joints' sensors say now."""
        states = self._client.getJointStates(self.body, self._arm + self._fingers)
        values = np.array([(state[0], state[1], state[3]) for state in states])
        count = len(self._arm)
        return JointReadings(
            arm_positions=values[:count, 0],
            arm_velocities=values[:count, 1],
            arm_efforts=values[:count, 2],
            finger_positions=values[count:, 0],
            finger_velocities=values[count:, 1],
            finger_efforts=values[count:, 2],
        )

    def link_poses(self) -> dict[str, RigidTransform]:
        """Pose of each link's frame in the world, by link name."""
        names = [name for name, index in self.link_indices.items() if index >= 0]
        indices = [self.link_indices[name] for name in names]
        states = self._client.getLinkStates(self.body, indices, computeForwardKinematics=True)
        poses = {self._profile.base_frame: self._T_world_base}
        for name, state in zip(names, states, strict=True):
            poses[name] = RigidTransform.from_components(np.array(state[4]), Rotation.from_quat(state[5]))
        return poses

    def _couple_fingers(self) -> None:
        client = self._client
        coupling = client.createConstraint(
            self.body,
            self._fingers[0],
            self.body,
            self._fingers[1],
            jointType=client.JOINT_GEAR,
            jointAxis=[1.0, 0.0, 0.0],
            parentFramePosition=[0.0, 0.0, 0.0],
            childFramePosition=[0.0, 0.0, 0.0],
        )
        client.changeConstraint(coupling, gearRatio=-1.0, erp=FINGER_COUPLING_ERP, maxForce=FINGER_COUPLING_FORCE_N)
        for index in self._fingers:
            client.changeDynamics(
                self.body,
                index,
                lateralFriction=FINGER_LATERAL_FRICTION,
                spinningFriction=FINGER_SPINNING_FRICTION,
                contactStiffness=CONTACT_STIFFNESS,
                contactDamping=CONTACT_DAMPING,
                frictionAnchor=1,
            )
