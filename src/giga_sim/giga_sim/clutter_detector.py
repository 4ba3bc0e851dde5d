"""The detector that a clutter benchmark measures: made here, from its settings, whatever kind of detector it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from giga_perception.camera import DepthView
from giga_perception.detection import Detection, GraspDetector
from giga_perception.detection_mode import MODES, DetectionMode, mode_named, with_levers
from giga_perception.judge_file import judge_path
from giga_perception.tensor_file import read_kind
from giga_perception.two_stage.detector import TwoStageDetector
from giga_perception.two_stage.model_file import KIND as TWO_STAGE
from giga_perception.weights import model_path
from giga_sim.clutter_settings import ClutterSettings


class ClutterDetector(Protocol):
    """What a round needs of a detector."""

    @property
    def model_name(self) -> str:
        """What tables call it."""

    def detect(self, views: Sequence[DepthView]) -> Detection:
        """Ranked grasps, best first, for the scene in these depth views (at least one)."""


def detector_of(settings: ClutterSettings) -> ClutterDetector:
    """The detector of these settings, best grasp first. A two-stage one takes the threshold alone.

    Raises giga_perception.ModelFileError when a file cannot be used, ValueError for a threshold, mode or resolution
    that the detector does not know.
    """
    if is_two_stage(settings):
        return TwoStageDetector.from_file(model_path(settings.model), threshold=settings.threshold)
    return GraspDetector.from_file(
        settings.model,
        resolution=settings.resolution,
        threshold=settings.threshold,
        out_threshold=settings.out_threshold,
        best_forced=settings.best_forced,
        mode=detection_mode_of(settings),
        averaging=settings.averaging,
    )


def is_two_stage(settings: ClutterSettings) -> bool:
    """Whether the model file holds the classifier of a two-stage detector, which knows no modes and no grid."""
    return read_kind(model_path(settings.model)) == TWO_STAGE


def mode_of(settings: ClutterSettings) -> str:
    """The mode that detects: the one named, or what "auto" means for this model."""
    if settings.mode != "auto":
        return settings.mode
    if is_two_stage(settings):
        return "plain"
    chosen = mode_named("auto", has_judge=judge_path(model_path(settings.model)).is_file())
    return next(name for name, mode in MODES.items() if mode == chosen)


def detection_mode_of(settings: ClutterSettings) -> DetectionMode:
    """What is done in that mode, with the settings' levers switched. Raises ValueError for an unknown one."""
    return with_levers(MODES[mode_of(settings)], on=settings.levers_on, off=settings.levers_off)


def fingerprint_of(settings: ClutterSettings) -> str:
    """SHA-256 over the content of the files that the detector is made of: the model and, if it is asked, its judge."""
    model = model_path(settings.model)
    files: list[Path] = [model]
    if not is_two_stage(settings) and detection_mode_of(settings).second_look:
        files.append(judge_path(model))
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
