"""Rigid transforms to and from geometry_msgs."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Transform
from scipy.spatial.transform import RigidTransform, Rotation

_UNIT_LENGTH_TOLERANCE = 0.01


def pose_message(transform: RigidTransform) -> Pose:
    """A pose with the transform's translation (metres) and rotation."""
    return _pose(transform.translation.tolist(), transform.rotation.as_quat().tolist())


def pose_messages(transforms: RigidTransform) -> list[Pose]:
    """The poses of a stack [N] of transforms."""
    return list(map(_pose, transforms.translation.tolist(), transforms.rotation.as_quat().tolist()))


def transform_from_pose(pose: Pose) -> RigidTransform:
    """The transform that a pose stands for. Raises ValueError for values that are not finite or no unit quaternion."""
    return _rigid(pose.position, pose.orientation)


def transform_from_message(transform: Transform) -> RigidTransform:
    """The transform of a geometry_msgs/Transform; raises ValueError as `transform_from_pose` does."""
    return _rigid(transform.translation, transform.rotation)


def _pose(position_m: list[float], quaternion: list[float]) -> Pose:
    x, y, z = position_m
    qx, qy, qz, qw = quaternion
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _rigid(translation: object, rotation: Quaternion) -> RigidTransform:
    position = np.array([translation.x, translation.y, translation.z])  # type: ignore[attr-defined]
    quaternion = np.array([rotation.x, rotation.y, rotation.z, rotation.w])
    if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
        raise ValueError("a pose holds values that are not finite")
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > _UNIT_LENGTH_TOLERANCE:
        raise ValueError(f"the quaternion {quaternion.tolist()} is no rotation: its length is {length:.3g}, not 1")
    return RigidTransform.from_components(position, Rotation.from_quat(quaternion))
