"""Grasps and detection reports to giga_msgs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from giga_msgs.msg import DetectionReport, GraspArray
from giga_msgs.msg import Grasp as GraspMessage
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import Header

from giga_perception.detection import DetectionCounts
from giga_perception.grasp import Grasp
from giga_perception.transform_messages import pose_message, transform_from_pose


def grasp_message(grasp: Grasp, T_frame_workspace: RigidTransform) -> GraspMessage:
    """The grasp with its TCP pose carried into the frame of the array that will hold it."""
    pose = pose_message(T_frame_workspace * grasp.T_workspace_tcp)
    return GraspMessage(pose=pose, width_m=float(grasp.width_m), quality=float(grasp.quality))


def grasp_array_message(
    grasps: Sequence[Grasp], report: DetectionCounts, T_frame_workspace: RigidTransform, header: Header
) -> GraspArray:
    """The array in the header's frame, in the order given."""
    return GraspArray(
        header=header,
        grasps=[grasp_message(grasp, T_frame_workspace) for grasp in grasps],
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
