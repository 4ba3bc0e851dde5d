"""The two-stage detector: depth views in, ranked grasps out, as `giga_perception.detection.GraspDetector` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.detection import Detection
from giga_perception.detection_report import DetectionCounts
from giga_perception.grasp import Grasp, T_workspace_grasp_origin_from_tcp
from giga_perception.tsdf import fuse
from giga_perception.two_stage.classifier import CandidateClassifier, hold_probability
from giga_perception.two_stage.hand_candidates import Candidates, draw_candidates
from giga_perception.two_stage.local_grid import FloatArray, hand_features, local_grids
from giga_perception.two_stage.model_file import load_classifier
from giga_perception.two_stage.observed_cloud import observe

# Of grasps nearer than this to a better one, in place and in the direction of approach or closing, only that is given.
_SAME_PLACE_M = 0.02
_SAME_DIRECTION_COS = np.cos(np.deg2rad(40.0))
# A slim part seen from one side has no extent to speak of, yet fingers have to open for it.
_LEAST_WIDTH_M = 0.005
# Which points hands are placed at: the same image gives the same grasps.
_SEED = 0


class TwoStageDetector:
    """Finds grasps in depth views: candidates from the cloud, each classified. Holds no state between calls."""

    def __init__(
        self, classifier: CandidateClassifier, *, threshold: float = 0.5, model_name: str = "two-stage"
    ) -> None:
        """threshold: least probability of a grasp, 0 to 1. Raises ValueError when it is out of range."""
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is a probability, 0 to 1, got {threshold}")
        self.classifier = classifier.eval()
        self.threshold = threshold
        self.model_name = model_name

    @classmethod
    def from_file(cls, path: Path, threshold: float = 0.5) -> TwoStageDetector:
        """A detector with the classifier of this file. Raises ModelFileError, ValueError."""
        classifier, card = load_classifier(path)
        return cls(classifier, threshold=threshold, model_name=card.get("name", Path(path).stem))

    def detect(self, views: Sequence[DepthView]) -> Detection:
        """Ranked grasps for the scene in these depth views (at least one).

        In the report, centres_queried counts hands placed, centres_near_surface seen points off the table,
        centres_in_bounds hands that touch nothing, centres_width_valid hands with something to hold between the
        fingers. `quality` holds the best probability of the candidates whose grasp origin lies in a voxel.
        """
        start = time.perf_counter()
        tsdf = fuse(views)
        cloud = observe(views)
        observed = time.perf_counter()
        candidates = draw_candidates(cloud, np.random.default_rng(_SEED))
        placed = time.perf_counter()
        probability = np.zeros(0, dtype=np.float32)
        if len(candidates):
            poses = candidates.T_workspace_tcp
            probability = hold_probability(self.classifier, local_grids(cloud, poses), hand_features(poses))
        classified = time.perf_counter()
        good = np.flatnonzero(probability >= self.threshold)
        grasps = _distinct(candidates, probability, good)
        report = DetectionCounts(
            model=self.model_name,
            voxels_total=tsdf.value.size,
            voxels_observed=int(np.count_nonzero(tsdf.weight > 0)),
            centres_queried=candidates.placed,
            centres_near_surface=int(np.count_nonzero(~cloud.on_table)),
            centres_in_bounds=candidates.clear,
            centres_width_valid=candidates.holding,
            above_threshold=len(good),
            after_nms=len(grasps),
            after_region=len(grasps),
            quality_threshold=self.threshold,
            best_quality=float(probability.max(initial=0.0)),
            integrate_ms=1000.0 * (observed - start),
            selection_ms=1000.0 * (placed - observed + time.perf_counter() - classified),
            network_ms=1000.0 * (classified - placed),
            total_ms=1000.0 * (time.perf_counter() - start),
        )
        quality = _quality_volume(candidates, probability, tsdf.resolution, tsdf.voxel_m)
        return Detection(grasps, replace(report, message=_why_none(report)), quality, tsdf)


def _why_none(report: DetectionCounts) -> str:
    """One sentence naming the first stage that left nothing; empty when grasps are left."""
    if report.voxels_observed == 0:
        return "no depth reading falls inside the workspace: check the camera's pose, and that its image is not empty"
    if report.centres_near_surface == 0:
        return "nothing but the table was seen inside the workspace, so there is nothing to grasp"
    if report.centres_queried == 0:
        return "every seen surface faces down: no hand can be placed at it"
    if report.centres_in_bounds == 0:
        return "every hand placed at a seen surface touches something, or the table, or leaves the workspace"
    if report.centres_width_valid == 0:
        return "no hand that fits has two opposing surfaces between its fingers"
    if report.after_nms == 0:
        return (
            f"no candidate reaches the threshold of {report.quality_threshold:.2f}, "
            f"the best has {report.best_quality:.2f}"
        )
    return ""


def _distinct(candidates: Candidates, probability: FloatArray, good: NDArray[np.intp]) -> tuple[Grasp, ...]:
    """The good candidates, best first, without those that are nearly the same as a better one."""
    poses: RigidTransform = candidates.T_workspace_tcp
    places, R = poses.translation.reshape(-1, 3), poses.rotation.as_matrix().reshape(-1, 3, 3)
    left = good[np.argsort(-probability[good], kind="stable")]
    grasps = []
    while len(left):
        best = left[0]
        grasps.append(
            Grasp(
                T_workspace_tcp=poses[int(best)],
                width_m=max(_LEAST_WIDTH_M, float(candidates.widths_m[best])),
                quality=float(probability[best]),
            )
        )
        near = np.linalg.norm(places[left] - places[best], axis=1) < _SAME_PLACE_M
        alike = R[left, :, 2] @ R[best, :, 2] > _SAME_DIRECTION_COS
        alike &= np.abs(R[left, :, 1] @ R[best, :, 1]) > _SAME_DIRECTION_COS
        keep = ~(near & alike)
        keep[0] = False
        left = left[keep]
    return tuple(grasps)


def _quality_volume(
    candidates: Candidates, probability: FloatArray, resolution: int, voxel_m: float
) -> NDArray[np.float32]:
    """[R, R, R], the best probability of the candidates in each voxel."""
    quality = np.zeros((resolution,) * 3, dtype=np.float32)
    if len(candidates):
        origins = T_workspace_grasp_origin_from_tcp(candidates.T_workspace_tcp).translation.reshape(-1, 3)
        voxels = np.clip(np.floor(origins / voxel_m).astype(np.intp), 0, resolution - 1)
        np.maximum.at(quality, tuple(voxels.T), probability)
    return quality
