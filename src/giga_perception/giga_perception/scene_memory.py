"""What was computed from the newest depth view, kept until another view comes."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING

import numpy as np

from giga_perception.camera import DepthView
from giga_perception.detection import Detection, GraspDetector

if TYPE_CHECKING:
    import trimesh


class SceneMemory:
    """One detector shared by many callers: one computation at a time, and none twice for the same view."""

    def __init__(self, detector: GraspDetector) -> None:
        self._detector = detector
        self._lock = threading.Lock()
        self._view: DepthView | None = None
        self._detections: dict[float, Detection] = {}
        self._meshes: dict[tuple[int, int], trimesh.Trimesh] = {}

    @property
    def model_name(self) -> str:
        """The network's own name."""
        return self._detector.model_name

    def detection(self, view: DepthView, threshold: float) -> tuple[Detection, bool]:
        """Grasps of at least quality ``threshold`` in this view; and whether they had to be computed."""
        with self._lock:
            return self._detection(view, threshold)

    def mesh(self, view: DepthView, resolution: int, max_triangles: int) -> tuple[trimesh.Trimesh, bool]:
        """The network's reconstruction as `GraspDetector.reconstruct` gives it; and whether it had to be computed."""
        with self._lock:
            detection, _ = self._detection(view, self._any_threshold(view))
            key = (resolution, max_triangles)
            if key in self._meshes:
                return self._meshes[key], False
            mesh = self._detector.reconstruct(detection.tsdf, resolution, max_triangles)
            self._meshes[key] = mesh
            return mesh, True

    def _detection(self, view: DepthView, threshold: float) -> tuple[Detection, bool]:
        if not self._is_known(view):
            self._view, self._detections, self._meshes = view, {}, {}
        if threshold in self._detections:
            return self._detections[threshold], False
        detector = copy.copy(self._detector)  # shares the network
        detector.threshold = threshold
        self._detections[threshold] = detector.detect([view])
        return self._detections[threshold], True

    def _any_threshold(self, view: DepthView) -> float:
        """A threshold whose detection in this view is at hand, if there is one: all share one TSDF."""
        if self._detections and self._is_known(view):
            return next(iter(self._detections))
        return self._detector.threshold

    def _is_known(self, view: DepthView) -> bool:
        """Compares the images too: a simulation that was reset shows another scene under an old stamp."""
        known = self._view
        return (
            known is not None
            and known.camera == view.camera
            and np.array_equal(known.T_camera_workspace.as_matrix(), view.T_camera_workspace.as_matrix())
            and np.array_equal(known.depth_m, view.depth_m)
        )
