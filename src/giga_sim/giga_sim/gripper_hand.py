"""The free-floating Panda hand that tries grasps: no arm, no reach, only the hand held by a stiff constraint.

Its shape is that of pybullet_data's Panda, so the mock arm's hand and the hand that makes the labels are one shape.
Poses are those of VGN's grasp origin: near the finger roots, z along the approach, y along the closing direction.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.dataset import data_root
from giga_sim.physics_world import PhysicsWorld
from giga_sim.urdf_meshes import read_obj

MAX_WIDTH_M = 0.08
HAND_TO_GRASP_ORIGIN_M = 0.062
HAND_TO_FINGER_ROOTS_M = 0.0584
# PyBullet moves a body by its centre of mass: panda_hand + 0.040 m; the grasp origin lies 0.022 m further.
CENTRE_OF_MASS_TO_GRASP_ORIGIN_M = 0.022
HOLDING_FORCE_N = 300.0
FINGER_FORCE_N = 20.0
GEAR_FORCE_N = 50.0
# Bullet's default: the share of the hand's distance from where it is held that a step takes up.
HOLDER_ERP = 0.2
# The hand's links: the housing is the base, -1.
FINGER_LINKS = (0, 1)
GEAR_ERP = 0.1
PARKED = RigidTransform.from_translation([0.15, 0.15, 3.0])


def _collision_meshes() -> Path:
    return Path(pybullet_data.getDataPath()) / "franka_panda" / "meshes" / "collision"


@cache
def open_hand_parts() -> tuple[NDArray[np.float64], ...]:
    """Corners [n, 3] of the open hand's convex parts (housing, two fingers) in the frame of the grasp origin."""
    housing, finger = (
        np.vstack([vertices for vertices, _ in read_obj(_collision_meshes() / name)])
        for name in ("hand.obj", "finger.obj")
    )
    finger += np.array([0.0, MAX_WIDTH_M / 2.0, HAND_TO_FINGER_ROOTS_M])
    origin = [0.0, 0.0, HAND_TO_GRASP_ORIGIN_M]
    return housing - origin, finger - origin, finger * [-1.0, -1.0, 1.0] - origin


@cache
def hand_urdf() -> Path:
    """The hand's URDF, written to the data folder; its meshes stay where pybullet_data has them."""
    meshes = _collision_meshes()
    inertia = '<inertia ixx="0.1" ixy="0" ixz="0" iyy="0.1" iyz="0" izz="0.1"/>'

    def finger(index: int, sign: int, turn: float) -> str:
        return f"""
  <joint name="panda_finger_joint{index}" type="prismatic">
    <parent link="panda_hand"/> <child link="panda_finger{index}"/>
    <origin xyz="0 0 {HAND_TO_FINGER_ROOTS_M}"/> <axis xyz="0 {sign} 0"/>
    <limit effort="{FINGER_FORCE_N}" lower="0" upper="{MAX_WIDTH_M / 2}" velocity="0.2"/>
  </joint>
  <link name="panda_finger{index}">
    <contact>
      <friction_anchor/> <stiffness value="30000"/> <damping value="1000"/>
      <spinning_friction value="0.1"/> <lateral_friction value="1.0"/>
    </contact>
    <inertial> <origin xyz="0 {0.01 * sign} 0.02"/> <mass value="0.1"/> {inertia} </inertial>
    <collision> <origin rpy="0 0 {turn}"/> <geometry><mesh filename="{meshes}/finger.obj"/></geometry> </collision>
  </link>"""

    text = f"""<?xml version="1.0"?>
<robot name="free_panda_hand">
  <link name="panda_hand">
    <inertial> <origin xyz="0 0 0.04"/> <mass value="0.81"/> {inertia} </inertial>
    <collision> <geometry><mesh filename="{meshes}/hand.obj"/></geometry> </collision>
  </link>{finger(1, 1, 0.0)}{finger(2, -1, np.pi)}
</robot>
"""
    file = data_root() / "free_panda_hand.urdf"
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, file)
    return file


class GripperHand:
    """The hand in a world. It is kept and teleported between trials: loading it costs more than most trials do."""

    def __init__(self, world: PhysicsWorld, urdf: Path | None = None) -> None:
        """Load the hand, parked high above the table. `urdf`: another hand of the same frames, for comparison."""
        self._client = client = world.client
        position, quaternion = _centre_of_mass(PARKED)
        self.body_id = int(client.loadURDF(str(urdf or hand_urdf()), position, quaternion))
        joints = range(client.getNumJoints(self.body_id))
        self._fingers = [
            joint for joint in joints if client.getJointInfo(self.body_id, joint)[2] == pybullet.JOINT_PRISMATIC
        ]
        self._holder = client.createConstraint(
            self.body_id, -1, -1, -1, pybullet.JOINT_FIXED, [0, 0, 0], [0, 0, 0], position, quaternion
        )
        gear = client.createConstraint(
            *(self.body_id, self._fingers[0], self.body_id, self._fingers[1]),
            *(pybullet.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0]),
        )
        client.changeConstraint(gear, gearRatio=-1, erp=GEAR_ERP, maxForce=GEAR_FORCE_N)
        self.teleport(PARKED)

    def teleport(self, T_workspace_grasp: RigidTransform) -> None:
        """Put the hand there at rest, fingers open."""
        position, quaternion = _centre_of_mass(T_workspace_grasp)
        self._client.resetBasePositionAndOrientation(self.body_id, position, quaternion)
        self._client.resetBaseVelocity(self.body_id, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
        for finger in self._fingers:
            self._client.resetJointState(self.body_id, finger, MAX_WIDTH_M / 2.0, 0.0)
        self.set_opening(MAX_WIDTH_M)
        self._hold_at(position, quaternion)

    def set_velocity(self, velocity_m_s: NDArray[np.float64]) -> None:
        """Give the whole hand this velocity [3], without turning."""
        self._client.resetBaseVelocity(self.body_id, velocity_m_s.tolist(), [0.0, 0.0, 0.0])

    def path(
        self, T_workspace_grasp: RigidTransform, shift_m: NDArray[np.float64], count: int
    ) -> list[tuple[list[float], list[float]]]:
        """The hand's centre of mass and orientation at `count` places from there (excluded) to `shift_m` further."""
        position, quaternion = _centre_of_mass(T_workspace_grasp)
        shares = np.arange(1, count + 1)[:, None] / count
        return [(place, quaternion) for place in (np.asarray(position) + shares * shift_m).tolist()]

    def steer(self, place: tuple[list[float], list[float]]) -> None:
        """Let the constraint pull the hand to a place of `path`."""
        self._hold_at(*place)

    def touches_at(self, place: tuple[list[float], list[float]]) -> bool:
        """Whether the hand, put at a place of `path`, would touch anything. No time passes."""
        self._client.resetBasePositionAndOrientation(self.body_id, *place)
        self._client.performCollisionDetection()
        return bool(self.touched())

    def set_opening(self, width_m: float) -> None:
        """Drive both fingers to half of this width."""
        for finger in self._fingers:
            self._client.setJointMotorControl2(
                self.body_id,
                finger,
                pybullet.POSITION_CONTROL,
                targetPosition=width_m / 2.0,
                force=FINGER_FORCE_N,
            )

    def opening_m(self) -> float:
        """The distance between the pads."""
        return self.opening_and_rate()[0]

    def opening_and_rate(self) -> tuple[float, float]:
        """The distance between the pads (m) and its rate (m/s)."""
        first, second = (self._client.getJointState(self.body_id, finger) for finger in self._fingers)
        return first[0] + second[0], first[1] + second[1]

    def touched(self) -> set[int]:
        """The bodies that the hand touches."""
        return {contact[2] for contact in self._client.getContactPoints(self.body_id)} - {self.body_id}

    def _hold_at(self, position: list[float], quaternion: list[float]) -> None:
        self._client.changeConstraint(
            self._holder, jointChildPivot=position, jointChildFrameOrientation=quaternion, maxForce=HOLDING_FORCE_N
        )


def _centre_of_mass(T_workspace_grasp: RigidTransform) -> tuple[list[float], list[float]]:
    rotation = T_workspace_grasp.rotation
    offset = rotation.as_matrix()[:, 2] * CENTRE_OF_MASS_TO_GRASP_ORIGIN_M
    return (T_workspace_grasp.translation - offset).tolist(), rotation.as_quat().tolist()
