"""What a DetectGrasps request asks for, read and applied to a detection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from giga_msgs.srv import DetectGrasps
from scipy.spatial.transform import RigidTransform

from giga_perception.detection import Detection
from giga_perception.detection_report import DetectionCounts
from giga_perception.grasp import Grasp
from giga_perception.oriented_box import OrientedBox
from giga_perception.transform_messages import transform_from_pose


class GraspRequestError(ValueError):
    """A request that cannot be answered; the message names the field, or says what is wrong."""


def threshold_of(request: DetectGrasps.Request, node_threshold: float) -> float:
    """The least quality asked for; 0 leaves it to the node."""
    if not 0.0 <= request.min_quality <= 1.0:
        raise GraspRequestError(f"min_quality must lie between 0 and 1, not {request.min_quality:g}")
    return float(request.min_quality) or node_threshold


def limit_of(request: DetectGrasps.Request, node_limit: int) -> int:
    """How many grasps at most; 0 = all. A request may ask for fewer than the node gives, not for more."""
    limits = [limit for limit in (int(request.max_grasps), node_limit) if limit > 0]
    return min(limits, default=0)


def region_of(request: DetectGrasps.Request, T_workspace_region: RigidTransform) -> OrientedBox | None:
    """The box asked for, in the workspace; None when all its sides are 0. Raises `GraspRequestError`."""
    size_m = np.array([request.region_size_m.x, request.region_size_m.y, request.region_size_m.z])
    if not size_m.any():
        return None
    try:
        return OrientedBox(T_workspace_region * transform_from_pose(request.region_pose), size_m)
    except ValueError as error:
        raise GraspRequestError(f"region_pose and region_size_m describe no box: {error}") from error


def select(
    detection: Detection, region: OrientedBox | None, max_grasps: int
) -> tuple[tuple[Grasp, ...], DetectionCounts]:
    """The grasps whose TCP lies in the region, in the order given, at most ``max_grasps`` (0 = all), and the report."""
    grasps, report = detection.grasps, detection.report
    if region is not None and grasps:
        inside = region.contains([grasp.T_workspace_tcp.translation for grasp in grasps])
        grasps = tuple(grasp for grasp, keep in zip(grasps, inside, strict=True) if keep)
        message = report.message if grasps else f"all {report.after_nms} grasps lie outside the region asked for"
        report = replace(report, message=message)
    report = replace(report, after_region=len(grasps))
    return grasps[: max_grasps or None], report
