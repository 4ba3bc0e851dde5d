"""What was computed from the newest scene, kept until another one comes."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from giga_perception.detection import Detection, GraspDetector
from giga_perception.detection_report import DetectionCounts
from giga_perception.observed_scene import ObservedScene
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.selection_policy import policy_named
from giga_perception.tsdf import fuse

if TYPE_CHECKING:
    import trimesh

Result = TypeVar("Result")

# Different requests about one scene whose answers are kept.
_MOST_KEPT = 8


class RobotInTheWayError(ValueError):
    """The robot hides too much of the workspace to say anything about it; the message says so."""


@dataclass(frozen=True)
class DetectionSettings:
    """What may differ from one detection to the next; meaning and ranges as in `perception_parameters`."""

    quality_threshold: float = 0.5
    out_threshold: float = 0.5
    resolution: int = 40
    best_forced: bool = False
    selection: str = "best"
    max_hidden_by_robot: float = 0.2


def detection_settings(parameters: PerceptionParameters, quality_threshold: float) -> DetectionSettings:
    """The settings that the node's parameters say, with this threshold."""
    return DetectionSettings(
        quality_threshold=quality_threshold,
        out_threshold=parameters.out_threshold,
        resolution=parameters.resolution,
        best_forced=parameters.best_forced,
        selection=parameters.selection,
        max_hidden_by_robot=parameters.max_hidden_by_robot,
    )


class SceneMemory:
    """One detector shared by many callers: one computation at a time, and none twice for the same scene."""

    def __init__(self, detector: GraspDetector) -> None:
        self._detector = detector
        self._lock = threading.Lock()
        self._scene: ObservedScene | None = None
        self._detections: dict[Hashable, Detection] = {}
        self._meshes: dict[Hashable, trimesh.Trimesh] = {}

    @property
    def model_name(self) -> str:
        """The network's own name."""
        return self._detector.model_name

    @property
    def is_busy(self) -> bool:
        """Whether something is being computed right now."""
        return self._lock.locked()

    def detection(self, scene: ObservedScene, settings: DetectionSettings) -> tuple[Detection, bool]:
        """Grasps in this scene; and whether they had to be computed.

        No grasps, and a report that says so, when the robot hides more than ``max_hidden_by_robot`` of the workspace.
        Raises ValueError for settings that the network cannot answer to.
        """
        with self._lock:
            return self._detection(scene, settings)

    def mesh(
        self, scene: ObservedScene, settings: DetectionSettings, resolution: int, max_triangles: int
    ) -> tuple[trimesh.Trimesh, bool]:
        """The network's reconstruction as `GraspDetector.reconstruct` gives it; and whether it had to be computed.

        Raises ValueError as that does, and RobotInTheWayError when the robot hides too much of the scene.
        """
        with self._lock:
            hidden = _why_hidden(scene, settings)
            if hidden:
                raise RobotInTheWayError(hidden)
            self._look_at(scene)
            key = (resolution, max_triangles)
            if key in self._meshes:
                return self._meshes[key], False
            # Any detection at hand will do: all share one TSDF.
            detection = next(iter(self._detections.values()), None) or self._detection(scene, settings)[0]
            return _kept(self._meshes, key, self._detector.reconstruct(detection.tsdf, resolution, max_triangles)), True

    def _detection(self, scene: ObservedScene, settings: DetectionSettings) -> tuple[Detection, bool]:
        self._look_at(scene)
        if settings in self._detections:
            return self._detections[settings], False
        hidden = _why_hidden(scene, settings)
        detection = self._none(scene, settings, hidden) if hidden else self._detect(scene, settings)
        report = replace(detection.report, hidden_by_robot=scene.hidden_by_robot)
        if scene.remarks:
            report = replace(report, message="; ".join(filter(None, (report.message, *scene.remarks))))
        return _kept(self._detections, settings, replace(detection, report=report)), True

    def _look_at(self, scene: ObservedScene) -> None:
        if self._scene is None or not scene.shows_the_same_as(self._scene):
            self._detections, self._meshes = {}, {}
        self._scene = scene

    def _detect(self, scene: ObservedScene, settings: DetectionSettings) -> Detection:
        detector = copy.copy(self._detector)  # shares the network
        detector.threshold = settings.quality_threshold
        detector.out_threshold = settings.out_threshold
        detector.resolution = settings.resolution
        detector.best_forced = settings.best_forced
        detector.policy = policy_named(settings.selection)
        return detector.detect(scene.views)

    def _none(self, scene: ObservedScene, settings: DetectionSettings, why: str) -> Detection:
        """No grasps, for this reason; the network is not asked."""
        start = time.perf_counter()
        tsdf = fuse(scene.views)
        integrate_ms = (time.perf_counter() - start) * 1000.0
        report = DetectionCounts(
            message=why,
            model=self.model_name,
            voxels_total=tsdf.value.size,
            voxels_observed=int(np.count_nonzero(tsdf.weight > 0)),
            quality_threshold=settings.quality_threshold,
            integrate_ms=integrate_ms,
            total_ms=integrate_ms,
        )
        return Detection((), report, np.zeros((settings.resolution,) * 3, dtype=np.float32), tsdf)


def _why_hidden(scene: ObservedScene, settings: DetectionSettings) -> str:
    if scene.hidden_by_robot <= settings.max_hidden_by_robot:
        return ""
    return (
        f"the robot hides {scene.hidden_by_robot:.0%} of the workspace from the camera, more than "
        f"{settings.max_hidden_by_robot:.0%}: move it out of the view, then ask again"
    )


def _kept(results: dict[Hashable, Result], key: Hashable, result: Result) -> Result:
    """Keep the result, and of the others only the last few."""
    while len(results) >= _MOST_KEPT:
        del results[next(iter(results))]
    results[key] = result
    return result
