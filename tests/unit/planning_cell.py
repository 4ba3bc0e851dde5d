"""The Panda of pybullet_data in the cell of config/, boxes on its table, and an independent judge of its motions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
import trimesh
from numpy.typing import NDArray
from pybullet_utils.bullet_client import BulletClient
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.arm_model import ArmModel
from giga_grasping.cell import Cell, load_cell
from giga_grasping.configuration import find_configuration
from giga_grasping.inverse_kinematics import InverseKinematics
from giga_grasping.planning_context import PlannerSettings, PlanningContext
from giga_grasping.robot_profile import RobotProfile, load_robot_profile
from giga_grasping.scene_store import PerceivedScene, perceived_scene
from giga_grasping.timing import MotionLimits, Trajectory

FloatArray = NDArray[np.float64]

URDF = Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"
TABLE_M = 0.05
DOWN = Rotation.from_quat([1.0, 0.0, 0.0, 0.0])


@cache
def profile() -> RobotProfile:
    return load_robot_profile(find_configuration("robots/panda.yaml"))


@cache
def cell() -> Cell:
    return load_cell(find_configuration("cell.yaml"))


@cache
def arm() -> ArmModel:
    return ArmModel(URDF.read_text(), profile(), URDF.parent)


@cache
def kinematics() -> InverseKinematics:
    return InverseKinematics(arm())


@cache
def context() -> PlanningContext:
    return PlanningContext(arm(), cell(), PlannerSettings())


def home() -> FloatArray:
    return profile().configurations["home"]


def in_base(T_workspace: RigidTransform) -> RigidTransform:
    return cell().T_base_workspace * T_workspace


def tcp_pose(position_m: list[float], rotation: Rotation = DOWN) -> RigidTransform:
    """T_base_tcp from a position in the workspace and an orientation."""
    return in_base(RigidTransform.from_components(position_m, rotation))


def standing_box(x_m: float, y_m: float, size_m: list[float], yaw_rad: float = 0.0) -> trimesh.Trimesh:
    """A box on the table, in the workspace."""
    place = trimesh.transformations.rotation_matrix(yaw_rad, [0, 0, 1])
    place[:3, 3] = [x_m, y_m, TABLE_M + 0.5 * size_m[2]]
    return trimesh.creation.box(size_m, place)


def scene_of(*meshes: trimesh.Trimesh) -> PerceivedScene:
    """A perceived scene of meshes in the workspace."""
    if not meshes:
        return PerceivedScene()
    together = trimesh.util.concatenate(list(meshes))
    return perceived_scene(
        np.array(together.vertices), np.array(together.faces, dtype=np.int64), cell().T_base_workspace
    )


def dense_positions(trajectory: Trajectory, step_s: float = 0.004) -> FloatArray:
    """Configurations [N, 7] between a trajectory's points, from its positions and velocities alone."""
    curve = CubicHermiteSpline(trajectory.times_s, trajectory.positions_rad, trajectory.velocities_rad_s)
    count = max(2, int(np.ceil(trajectory.duration_s / step_s)))
    return np.asarray(curve(np.linspace(0.0, trajectory.duration_s, count)))


def assert_within_limits(trajectory: Trajectory, limits: MotionLimits) -> None:
    """Times rise, ends are at rest, and positions, velocities, accelerations and jerks keep their limits."""
    assert np.all(np.diff(trajectory.times_s) > 0.0)
    assert trajectory.times_s[0] == 0.0
    for ends in (trajectory.velocities_rad_s[[0, -1]], trajectory.accelerations_rad_s2[[0, -1]]):
        np.testing.assert_allclose(ends, 0.0, atol=1e-6)
    assert profile().limits.margin_rad(trajectory.positions_rad).min() > -1e-9
    assert np.all(np.abs(trajectory.velocities_rad_s) <= limits.velocity_rad_s * 1.001)
    assert np.all(np.abs(trajectory.accelerations_rad_s2) <= limits.acceleration_rad_s2 * 1.001)
    steps = np.diff(trajectory.times_s)[:, None]
    # The mean jerk between two points, and whether positions, velocities and accelerations belong to one motion.
    jerk = np.diff(trajectory.accelerations_rad_s2, axis=0) / steps
    assert np.all(np.abs(jerk) <= limits.jerk_rad_s3 * 1.02)
    mean_velocity = 0.5 * (trajectory.velocities_rad_s[1:] + trajectory.velocities_rad_s[:-1])
    moved = np.diff(trajectory.positions_rad, axis=0)
    assert np.abs(moved - mean_velocity * steps).max() < 2e-3
    mean_acceleration = 0.5 * (trajectory.accelerations_rad_s2[1:] + trajectory.accelerations_rad_s2[:-1])
    assert np.abs(np.diff(trajectory.velocities_rad_s, axis=0) - mean_acceleration * steps).max() < 2e-2


class BulletJudge:
    """PyBullet's own collision detection over the same robot and boxes: shares no code with the planner."""

    def __init__(self, *boxes: tuple[RigidTransform, FloatArray]) -> None:
        self._bullet = BulletClient(pybullet.DIRECT)
        self._robot = self._bullet.loadURDF(
            str(URDF), useFixedBase=True, flags=pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_PARENT
        )
        count = self._bullet.getNumJoints(self._robot)
        self._joints = {self._bullet.getJointInfo(self._robot, i)[1].decode(): i for i in range(count)}
        self._links = {self._bullet.getJointInfo(self._robot, i)[12].decode(): i for i in range(count)}
        self._boxes: dict[str, int] = {}
        for obstacle in cell().obstacles:
            self._boxes[obstacle.name] = self._box(obstacle.T_base_box, obstacle.size_m)
        for index, (T_base_box, size_m) in enumerate(boxes):
            self._boxes[f"object_{index}"] = self._box(T_base_box, size_m)

    def close(self) -> None:
        self._bullet.disconnect()

    def deepest(self, joints_rad: FloatArray, ignored: set[tuple[str, str]] = frozenset()) -> tuple[float, str]:  # type: ignore[assignment]
        """The smallest distance (below zero: depth) of any link to any box, and between which two."""
        for name, value in zip(profile().arm_joints, joints_rad, strict=True):
            self._bullet.resetJointState(self._robot, self._joints[name], value)
        for name in profile().finger_joints:
            self._bullet.resetJointState(self._robot, self._joints[name], 0.5 * profile().gripper_max_width_m)
        worst = (1.0, "nothing")
        for box_name, box in self._boxes.items():
            for link_name, link in self._links.items():
                if (link_name, box_name) in ignored or link_name in ("panda_link0", "panda_grasptarget"):
                    continue
                for point in self._bullet.getClosestPoints(self._robot, box, 0.05, link):
                    worst = min(worst, (point[8], f"{link_name} and {box_name}"))
        return worst

    def _box(self, T_base_box: RigidTransform, size_m: FloatArray) -> int:
        shape = self._bullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=list(0.5 * np.asarray(size_m)))
        return int(
            self._bullet.createMultiBody(
                0.0,
                shape,
                basePosition=list(T_base_box.translation),
                baseOrientation=list(T_base_box.rotation.as_quat()),
            )
        )
