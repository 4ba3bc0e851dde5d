"""Grasps and detection reports to giga_msgs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from giga_msgs.msg import DetectionReport, GraspArray
from giga_msgs.msg import Grasp as GraspMessage
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import Header

from giga_perception.detection_report import DetectionCounts
from giga_perception.grasp import Grasp
from giga_perception.transform_messages import pose_messages, transform_from_pose


def grasp_messages(grasps: Sequence[Grasp], T_frame_workspace: RigidTransform) -> list[GraspMessage]:
    """The grasps with their TCP poses carried into the frame of the array that will hold them."""
    if not grasps:
        return []
    # All at once: a single transform costs nearly as much as a hundred.
    T_frame_tcp = T_frame_workspace * RigidTransform.concatenate([grasp.T_workspace_tcp for grasp in grasps])
    return [
        GraspMessage(pose=pose, width_m=float(grasp.width_m), quality=float(grasp.quality))
        for grasp, pose in zip(grasps, pose_messages(T_frame_tcp), strict=True)
    ]


def grasp_array_message(
    grasps: Sequence[Grasp], report: DetectionCounts, T_frame_workspace: RigidTransform, header: Header
) -> GraspArray:
    """The array in the header's frame, in the order given."""
    return GraspArray(
        header=header,
        grasps=grasp_messages(grasps, T_frame_workspace),
        report=report_message(report),
    )


def report_message(report: DetectionCounts) -> DetectionReport:
    """The same fields by the same names."""
    return DetectionReport(**asdict(report))


def grasp_from_message(message: GraspMessage, T_workspace_frame: RigidTransform) -> Grasp:
    """The grasp back in the workspace, from an array whose frame ``T_workspace_frame`` maps to it.

    Raises ValueError for a pose that is none.
    """
    T_workspace_tcp = T_workspace_frame * transform_from_pose(message.pose)
    return Grasp(T_workspace_tcp=T_workspace_tcp, width_m=message.width_m, quality=message.quality)
