"""The arm as the planner computes with it: kinematics from a URDF, the tool centre point, link bodies for collision.

Pinocchio holds the kinematics. The fingers are fixed fully open: what is free around an open hand is free around a
closing one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import coal
import numpy as np
import pinocchio
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.robot_profile import RobotProfile

FloatArray = NDArray[np.float64]


class RobotDescriptionError(ValueError):
    """The URDF does not describe the robot of the profile; the message is for a person."""


@dataclass(frozen=True)
class LinkBody:
    """The convex hull of one collision body of a link."""

    name: str
    link: str
    joint: int
    """Index of the joint in the Pinocchio model that carries the body; 0 = the base."""
    T_joint_body: RigidTransform
    points_m: FloatArray
    """Points [N, 3] of the body, in its own frame."""
    is_finger: bool


@dataclass(frozen=True)
class ClosingVolume:
    """The box between the open fingers, from the palm to the finger ends, in the TCP frame."""

    lower_m: FloatArray
    upper_m: FloatArray

    def grown(self, by_m: float) -> ClosingVolume:
        """The same box, larger by `by_m` on every side."""
        return ClosingVolume(self.lower_m - by_m, self.upper_m + by_m)


class ArmModel:
    """Kinematics and bodies of the arm. Not thread-safe: Pinocchio's data is reused between calls."""

    def __init__(self, urdf: str, profile: RobotProfile, mesh_folder: Path | None = None) -> None:
        """Build the model.

        Args:
            urdf: URDF text; mesh paths may be absolute, file:// or package://, the last two relative to `mesh_folder`
                when they are not absolute.
            profile: the robot's profile.
            mesh_folder: folder that package:// and relative mesh paths start from.

        Raises:
            RobotDescriptionError: a joint, a link or a mesh is missing.
        """
        self.profile = profile
        resolved = _resolve_mesh_paths(urdf, mesh_folder)
        try:
            full = pinocchio.buildModelFromXML(resolved)
            bodies = pinocchio.buildGeomFromUrdfString(full, resolved, pinocchio.GeometryType.COLLISION)
        except (ValueError, RuntimeError) as error:
            raise RobotDescriptionError(f"The robot description cannot be used: {error}") from error
        for joint in (*profile.arm_joints, *profile.finger_joints):
            if not full.existJointName(joint):
                raise RobotDescriptionError(f"The robot description has no joint '{joint}', which the profile names.")
        for link in (profile.base_frame, profile.hand_frame, profile.tcp.parent):
            if not full.existFrame(link):
                raise RobotDescriptionError(f"The robot description has no link '{link}', which the profile names.")

        fingers_open = pinocchio.neutral(full)
        for joint in profile.finger_joints:
            fingers_open[full.joints[full.getJointId(joint)].idx_q] = 0.5 * profile.gripper_max_width_m
        locked = [full.getJointId(name) for name in full.names[1:] if name not in profile.arm_joints]
        finger_links = {
            full.frames[body.parentFrame].name
            for body in bodies.geometryObjects
            if full.names[body.parentJoint] in profile.finger_joints
        }
        links = [full.frames[body.parentFrame].name for body in bodies.geometryObjects]
        self.model, reduced = pinocchio.buildReducedModel(full, [bodies], locked, fingers_open)
        if [str(name) for name in self.model.names][1:] != list(profile.arm_joints):
            raise RobotDescriptionError("The robot description's arm joints are not in the profile's order.")
        self.data = self.model.createData()

        parent = self.model.frames[self.model.getFrameId(profile.tcp.parent)]
        tcp = pinocchio.Frame(
            profile.tcp.frame,
            parent.parentJoint,
            self.model.getFrameId(profile.tcp.parent),
            parent.placement * se3(profile.tcp.T_parent_tcp),
            pinocchio.FrameType.OP_FRAME,
        )
        self.tcp_frame: int = self.model.addFrame(tcp)
        self.tcp_joint: int = parent.parentJoint
        self.T_joint_tcp = _rigid_transform(tcp.placement)
        self.data = self.model.createData()

        self.bodies = tuple(
            LinkBody(
                name=body.name,
                link=link,
                joint=body.parentJoint,
                T_joint_body=_rigid_transform(body.placement),
                points_m=_points(body.geometry, body.name) * np.asarray(body.meshScale),
                is_finger=link in finger_links,
            )
            for body, link in zip(reduced[0].geometryObjects, links, strict=True)
        )
        self.closing_volume = self._closing_volume()

    def T_base_tcp(self, joints_rad: FloatArray) -> RigidTransform:
        """Pose of the TCP for arm joints [7]."""
        pinocchio.framesForwardKinematics(self.model, self.data, joints_rad)
        return _rigid_transform(self.data.oMf[self.tcp_frame])

    def tcp_error(self, joints_rad: FloatArray, goal: pinocchio.SE3) -> FloatArray:
        """Twist [6] (linear, angular; TCP frame) that takes the TCP to `goal` within unit time."""
        pinocchio.framesForwardKinematics(self.model, self.data, joints_rad)
        error = pinocchio.log6(self.data.oMf[self.tcp_frame].actInv(goal)).vector
        return np.asarray(error)

    def tcp_jacobian(self, joints_rad: FloatArray) -> FloatArray:
        """Jacobian [6, 7] of the TCP's twist in its own frame."""
        return np.asarray(
            pinocchio.computeFrameJacobian(
                self.model, self.data, joints_rad, self.tcp_frame, pinocchio.ReferenceFrame.LOCAL
            )
        )

    def hand_points_m(self) -> list[tuple[LinkBody, FloatArray]]:
        """Bodies that move with the hand, each with its points [N, 3] in the TCP frame."""
        T_tcp_joint = self.T_joint_tcp.inv()
        return [
            (body, (T_tcp_joint * body.T_joint_body).apply(body.points_m))
            for body in self.bodies
            if body.is_finger or body.link == self.profile.hand_frame
        ]

    def _closing_volume(self) -> ClosingVolume:
        palm_z = [points[:, 2].max() for body, points in self.hand_points_m() if not body.is_finger]
        fingers = [points for body, points in self.hand_points_m() if body.is_finger]
        if not palm_z or not fingers:
            raise RobotDescriptionError(
                f"The robot description gives '{self.profile.hand_frame}' or its fingers no collision geometry."
            )
        all_fingers = np.concatenate(fingers)
        half_opening = 0.5 * self.profile.gripper_max_width_m
        lower = np.array([all_fingers[:, 0].min(), -half_opening, max(palm_z)])
        upper = np.array([all_fingers[:, 0].max(), half_opening, self.profile.tcp.finger_overhang_m])
        return ClosingVolume(lower, upper)


def _resolve_mesh_paths(urdf: str, mesh_folder: Path | None) -> str:
    """The URDF with every mesh path absolute, which is what Pinocchio reads."""

    def absolute(match: re.Match[str]) -> str:
        named = match.group(1)
        path = (
            unquote(named.removeprefix("file://")) if named.startswith("file://") else named.removeprefix("package://")
        )
        if Path(path).is_absolute():
            resolved = Path(path)
        elif mesh_folder is None:
            raise RobotDescriptionError(
                f"The robot description names the mesh '{named}' by a relative path, "
                "and no folder to start from is known."
            )
        else:
            resolved = mesh_folder / path
        if not resolved.is_file():
            raise RobotDescriptionError(f"The robot description's mesh {resolved} does not exist.")
        return f'filename="{resolved}"'

    # Visual meshes are never loaded; without them their formats and paths do not matter.
    without_visuals = re.sub(r"<visual\b.*?</visual>", "", urdf, flags=re.DOTALL)
    return re.sub(r'filename\s*=\s*"([^"]*)"', absolute, without_visuals)


def _points(shape: coal.CollisionGeometry, name: str) -> FloatArray:
    if isinstance(shape, coal.BVHModelBase):
        return np.array(shape.vertices())
    if isinstance(shape, coal.Box):
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        return np.asarray(corners * np.asarray(shape.halfSide))
    if isinstance(shape, (coal.Sphere, coal.Cylinder, coal.Capsule)):
        return _round_body_points(shape)
    raise RobotDescriptionError(f"The robot description's body '{name}' has a shape that is not supported.")


def _round_body_points(shape: coal.Sphere | coal.Cylinder | coal.Capsule) -> FloatArray:
    """Points whose hull encloses a sphere, cylinder or capsule about z."""
    angles = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    # Widened so that the polygon's sides, not its corners, touch the circle.
    radius = shape.radius / np.cos(np.pi / 16)
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    half_length = shape.radius if isinstance(shape, coal.Sphere) else shape.halfLength
    if isinstance(shape, coal.Capsule):
        half_length += shape.radius
    return np.concatenate([np.column_stack([ring, np.full(16, z)]) for z in (-half_length, half_length)])


def se3(transform: RigidTransform) -> pinocchio.SE3:
    return pinocchio.SE3(transform.rotation.as_matrix(), np.asarray(transform.translation))


def _rigid_transform(placement: pinocchio.SE3) -> RigidTransform:
    return RigidTransform.from_matrix(np.asarray(placement.homogeneous))
