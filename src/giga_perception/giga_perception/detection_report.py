"""What happened between a depth image and the grasps, and the one sentence that says why there are none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionCounts:
    """What happened between the depth image and the grasps; fields and meaning as giga_msgs/msg/DetectionReport."""

    message: str = ""
    model: str = ""
    voxels_total: int = 0
    voxels_observed: int = 0
    centres_queried: int = 0
    centres_near_surface: int = 0
    centres_in_bounds: int = 0
    centres_width_valid: int = 0
    above_threshold: int = 0
    after_nms: int = 0
    after_region: int = 0
    quality_threshold: float = 0.0
    best_quality: float = 0.0
    hidden_by_robot: float = -1.0
    integrate_ms: float = 0.0
    network_ms: float = 0.0
    selection_ms: float = 0.0
    total_ms: float = 0.0


def why_none(report: DetectionCounts) -> str:
    """One sentence naming the first stage that left nothing; empty when grasps are left."""
    if report.voxels_observed == 0:
        return "no depth reading falls inside the workspace: check the camera's pose, and that its image is not empty"
    if report.centres_near_surface == 0:
        return "no surface was seen inside the workspace, so there is nothing to grasp"
    if report.centres_in_bounds == 0:
        return "every centre near a surface lies at the border of the workspace or below the table's margin"
    if report.centres_width_valid == 0:
        return "the network predicts no width that the hand can hold, at any centre near a surface"
    if report.after_nms == 0:
        return (
            f"no grasp reaches the quality threshold of {report.quality_threshold:.2f}, "
            f"the best has {report.best_quality:.2f}"
        )
    return ""
