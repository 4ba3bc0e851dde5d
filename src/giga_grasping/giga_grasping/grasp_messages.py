"""Grasps and poses between giga_msgs and the executor's own types."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import Pose, PoseStamped
from giga_msgs.msg import Grasp, GraspArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.pick_outcome import Candidate, PickError, PickOutcome
from giga_grasping.pick_sequence import PoseGoal


def transform_from_pose(pose: Pose) -> RigidTransform:
    """Raises PickError(INVALID_REQUEST) for a quaternion that is not of unit length, e.g. one never filled in."""
    quaternion = [pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w]
    if abs(sum(value * value for value in quaternion) - 1.0) > 0.01:
        raise PickError(PickOutcome.INVALID_REQUEST, f"the orientation {quaternion} is not a unit quaternion")
    return RigidTransform.from_components(
        [pose.position.x, pose.position.y, pose.position.z], Rotation.from_quat(quaternion)
    )


def pose_from_transform(transform: RigidTransform) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(value) for value in transform.translation)
    quaternion = (float(value) for value in transform.rotation.as_quat())
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = quaternion
    return pose


def candidates_from_message(array: GraspArray) -> list[Candidate]:
    """Raises PickError(INVALID_REQUEST), naming the grasp that is not one."""
    candidates = []
    for index, grasp in enumerate(array.grasps):
        try:
            candidates.append(Candidate(transform_from_pose(grasp.pose), grasp.width_m, grasp.quality))
        except PickError as failure:
            raise PickError(failure.outcome, f"candidate {index}: {failure.message}") from failure
    return candidates


def grasp_message(candidate: Candidate) -> Grasp:
    return Grasp(pose=pose_from_transform(candidate.T_frame_tcp), width_m=candidate.width_m, quality=candidate.quality)


def grasp_array_message(candidates: Sequence[Candidate], frame_id: str) -> GraspArray:
    array = GraspArray(grasps=[grasp_message(candidate) for candidate in candidates])
    array.header.frame_id = frame_id
    return array


def goal_from_pose(pose: PoseStamped) -> PoseGoal | None:
    """None when no frame is given, which means that no pose is."""
    return PoseGoal(pose.header.frame_id, transform_from_pose(pose.pose)) if pose.header.frame_id else None
