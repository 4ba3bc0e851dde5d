"""Detect and pick until nothing is left, nothing can be grasped, or too much fails. Knows no ROS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from giga_grasping.failed_grasps import FailedGrasps
from giga_grasping.pick_outcome import After, Candidate, PickError, PickOutcome, PickResult
from giga_grasping.pick_sequence import PickRequest

# Outcomes after which a next attempt makes no sense: the cell, not the grasp, is at fault.
FATAL = (PickOutcome.NOT_READY, PickOutcome.BUSY, PickOutcome.UNKNOWN_FRAME, PickOutcome.INVALID_REQUEST)


class EndReason(StrEnum):
    """Why it ended; the constants of giga_msgs/action/ClearTable."""

    NO_GRASPS = "no_grasps"
    FAILURES = "consecutive_failures"
    ATTEMPTS = "max_attempts"
    CANCELED = "canceled"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True)
class DetectedGrasps:
    """One detection: candidates best first in `frame_id`, and the report's sentence about how it came to them."""

    candidates: Sequence[Candidate]
    frame_id: str
    message: str
    detection_ms: float


class Cell(Protocol):
    """What the loop asks of the cell; each method raises PickError when it cannot."""

    def go_home(self, scene_id: str) -> None: ...
    def detect(self) -> DetectedGrasps: ...

    # Reconstruct what stands there and hand it to the planner; returns the scene_id.
    def set_scene(self) -> str: ...
    def pick(self, request: PickRequest) -> PickResult: ...


@dataclass(frozen=True)
class ClearSettings:
    """What a user may set about clearing a table. max_attempts = 0: no limit."""

    max_attempts: int = 0
    max_consecutive_failures: int = 2
    max_candidates: int = 10
    failed_distance_m: float = 0.02
    failed_angle_deg: float = 30.0
    dry_run: bool = False


@dataclass(frozen=True)
class Attempt:
    """One attempt that has ended. `number` counts from 1; `grasp` is the one used, or the best one when none was."""

    number: int
    result: PickResult
    grasp: Candidate
    detected: DetectedGrasps


@dataclass(frozen=True)
class ClearResult:
    attempts: int
    successes: int
    reason: EndReason
    message: str


def clear_table(cell: Cell, settings: ClearSettings, on_attempt: Callable[[Attempt], None]) -> ClearResult:
    """Run the loop to its end; never raises PickError: the result says why it ended."""
    failed = FailedGrasps(settings.failed_distance_m, math.radians(settings.failed_angle_deg))
    attempts = successes = failures_in_a_row = 0
    scene_id = ""
    while True:
        try:
            cell.go_home(scene_id)
            detected = cell.detect()
            if not detected.candidates:
                return ClearResult(attempts, successes, EndReason.NO_GRASPS, detected.message)
            scene_id = cell.set_scene()
        except PickError as failure:
            return ClearResult(attempts, successes, _reason(failure.outcome), failure.message)

        chosen = failed.order(detected.candidates)[: settings.max_candidates]
        candidates = [detected.candidates[index] for index in chosen]
        result = cell.pick(PickRequest(candidates, detected.frame_id, scene_id, After.BIN))
        if _reason(result.outcome) is not EndReason.ERROR or result.outcome in FATAL:
            return ClearResult(attempts, successes, _reason(result.outcome), result.message)
        if settings.dry_run and result.success:
            return ClearResult(attempts, successes, EndReason.ATTEMPTS, result.message)

        attempts += 1
        used = candidates[result.grasp_index] if result.grasp_index >= 0 else candidates[0]
        on_attempt(Attempt(attempts, result, used, detected))
        if result.success:
            successes += 1
            failures_in_a_row = 0
        else:
            failures_in_a_row += 1
            failed.remember([used] if result.grasp_index >= 0 else candidates)
        if failures_in_a_row >= settings.max_consecutive_failures:
            message = f"{failures_in_a_row} attempts failed in a row, the last: {result.message}"
            return ClearResult(attempts, successes, EndReason.FAILURES, message)
        if 0 < settings.max_attempts <= attempts:
            return ClearResult(attempts, successes, EndReason.ATTEMPTS, f"all {attempts} attempts allowed were made")


def _reason(outcome: PickOutcome) -> EndReason:
    if outcome is PickOutcome.CANCELED:
        return EndReason.CANCELED
    if outcome is PickOutcome.STOPPED:
        return EndReason.STOPPED
    return EndReason.ERROR
