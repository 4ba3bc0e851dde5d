"""Between the planner's arrays and ROS messages; what is wrong in a message becomes a `PlanningError`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Pose
from giga_msgs.srv import SetScene
from numpy.typing import NDArray
from rclpy.duration import Duration
from scipy.spatial.transform import RigidTransform, Rotation
from sensor_msgs.msg import JointState
from shape_msgs.msg import Mesh
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from giga_grasping.cell import BoxObstacle
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.scene_store import PerceivedScene, SceneError, perceived_scene
from giga_grasping.timing import Trajectory

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def joints_from_message(message: JointState, arm_joints: Sequence[str], what: str) -> FloatArray:
    """Positions [7] of the arm's joints, picked by name; other joints in the message do not matter.

    Raises:
        PlanningError: INVALID_REQUEST; `what` names the field in the sentence.
    """
    positions = dict(zip(message.name, message.position, strict=False))
    missing = [name for name in arm_joints if name not in positions]
    if missing:
        raise PlanningError(PlanningOutcome.INVALID_REQUEST, f"{what} gives no position for {', '.join(missing)}.")
    joints = np.array([positions[name] for name in arm_joints])
    if not np.all(np.isfinite(joints)):
        raise PlanningError(PlanningOutcome.INVALID_REQUEST, f"{what} holds a position that is not finite.")
    return joints


def transform_from_pose(pose: Pose, what: str) -> RigidTransform:
    """The transform that a pose says.

    Raises:
        PlanningError: INVALID_REQUEST, not finite or not a unit quaternion; `what` names the pose in the sentence.
    """
    position = np.array([pose.position.x, pose.position.y, pose.position.z])
    quaternion = np.array([pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w])
    if not np.all(np.isfinite(position)) or abs(float(np.linalg.norm(quaternion)) - 1.0) > 1e-2:
        raise PlanningError(
            PlanningOutcome.INVALID_REQUEST,
            f"{what} is not a pose: its position is not finite or its quaternion not of length 1.",
        )
    return RigidTransform.from_components(position, Rotation.from_quat(quaternion))


def pose_from_transform(transform: RigidTransform) -> Pose:
    """The pose that says a transform."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(value) for value in transform.translation)
    quaternion = transform.rotation.as_quat()
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = (
        float(value) for value in quaternion
    )
    return pose


def mesh_from_message(message: Mesh) -> tuple[FloatArray, IntArray]:
    """Vertices [V, 3] and triangles [T, 3]."""
    vertices = np.array([(point.x, point.y, point.z) for point in message.vertices], dtype=np.float64).reshape(-1, 3)
    triangles = np.array([triangle.vertex_indices for triangle in message.triangles], dtype=np.int64).reshape(-1, 3)
    return vertices, triangles


def held_points_from_message(message: Mesh) -> FloatArray | None:
    """Points [N, 3] of the object in the hand, or None for an empty mesh.

    Raises:
        PlanningError: INVALID_REQUEST, a point that is not finite.
    """
    vertices, _ = mesh_from_message(message)
    if not np.all(np.isfinite(vertices)):
        raise PlanningError(PlanningOutcome.INVALID_REQUEST, "attached_object has a vertex that is not finite.")
    return vertices if len(vertices) else None


def scene_from_request(request: SetScene.Request, T_base_scene: RigidTransform) -> PerceivedScene:
    """The scene in the base frame.

    Raises:
        SceneError: a sentence for what cannot be used.
    """
    poses, sizes = request.unseen_box_poses, request.unseen_box_sizes_m
    if len(poses) != len(sizes):
        raise SceneError(f"{len(poses)} unseen boxes have a pose and {len(sizes)} have a size; each needs both.")
    unseen = []
    for index, (pose, size) in enumerate(zip(poses, sizes, strict=True)):
        size_m = np.array([size.x, size.y, size.z])
        if not np.all(np.isfinite(size_m)) or np.any(size_m <= 0.0):
            raise SceneError(f"Unseen box {index} has a side length that is not above zero.")
        try:
            T_scene_box = transform_from_pose(pose, f"Unseen box {index}")
        except PlanningError as error:
            raise SceneError(str(error)) from error
        unseen.append(BoxObstacle(f"unseen_{index}", T_base_scene * T_scene_box, size_m))
    vertices, triangles = mesh_from_message(request.mesh)
    return perceived_scene(vertices, triangles, T_base_scene, tuple(unseen))


def trajectory_message(trajectory: Trajectory, arm_joints: Sequence[str]) -> JointTrajectory:
    """The message of a trajectory; its stamp is zero: start at once."""
    message = JointTrajectory()
    message.joint_names = list(arm_joints)
    rows = zip(
        trajectory.times_s,
        trajectory.positions_rad,
        trajectory.velocities_rad_s,
        trajectory.accelerations_rad_s2,
        strict=True,
    )
    message.points = [
        JointTrajectoryPoint(
            positions=positions.tolist(),
            velocities=velocities.tolist(),
            accelerations=accelerations.tolist(),
            time_from_start=Duration(nanoseconds=round(float(time_s) * 1e9)).to_msg(),
        )
        for time_s, positions, velocities, accelerations in rows
    ]
    return message
