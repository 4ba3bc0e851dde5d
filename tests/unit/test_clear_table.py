"""The loop that clears a table: when it ends, what it counts, where it does not try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.clear_table import Attempt, ClearSettings, DetectedGrasps, EndReason, clear_table
from giga_grasping.failed_grasps import FailedGrasps
from giga_grasping.pick_outcome import After, Candidate, PickError, PickOutcome, PickResult
from giga_grasping.pick_sequence import PickRequest


def grasp(x_m: float, yaw_deg: float = 0.0, quality: float = 0.9) -> Candidate:
    rotation = Rotation.from_euler("z", yaw_deg, degrees=True)
    return Candidate(RigidTransform.from_components([x_m, 0.0, 0.0], rotation), 0.04, quality)


@dataclass
class FakeCell:
    """Answers with the given detections (the last for ever) and pick outcomes, and notes what was asked."""

    detections: list[Sequence[Candidate]]
    outcomes: list[PickOutcome]
    failures: dict[str, PickError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    requests: list[PickRequest] = field(default_factory=list)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failures:
            raise self.failures[call]

    def go_home(self, scene_id: str) -> None:
        self._note("home")

    def detect(self) -> DetectedGrasps:
        self._note("detect")
        candidates = self.detections.pop(0) if len(self.detections) > 1 else self.detections[0]
        return DetectedGrasps(candidates, "panda_link0", "nothing above the threshold", 12.0)

    def set_scene(self) -> str:
        self._note("scene")
        return "scene"

    def pick(self, request: PickRequest) -> PickResult:
        self._note("pick")
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        planned = outcome is PickOutcome.SUCCESS or outcome <= PickOutcome.START_MISMATCH
        return PickResult(outcome, "said so", 0 if planned else -1)


def run(cell: FakeCell, settings: ClearSettings | None = None) -> tuple[EndReason, int, int, list[Attempt]]:
    attempts: list[Attempt] = []
    result = clear_table(cell, settings or ClearSettings(), attempts.append)
    assert result.attempts == len(attempts)
    return result.reason, result.attempts, result.successes, attempts


def test_it_ends_when_nothing_is_left() -> None:
    cell = FakeCell([[grasp(0.0)], [grasp(0.1)], []], [PickOutcome.SUCCESS, PickOutcome.SUCCESS])
    reason, attempts, successes, _ = run(cell)
    assert (reason, attempts, successes) == (EndReason.NO_GRASPS, 2, 2)
    assert cell.calls == ["home", "detect", "scene", "pick"] * 2 + ["home", "detect"]
    assert cell.requests[0].after is After.BIN
    assert cell.requests[0].scene_id == "scene"


def test_no_grasps_ends_with_the_reports_sentence() -> None:
    result = clear_table(FakeCell([[]], []), ClearSettings(), lambda attempt: None)
    assert (result.reason, result.message) == (EndReason.NO_GRASPS, "nothing above the threshold")


def test_two_failures_in_a_row_end_it_and_a_success_between_resets() -> None:
    outcomes = [PickOutcome.NOTHING_GRASPED, PickOutcome.SUCCESS, PickOutcome.OBJECT_LOST, PickOutcome.IN_COLLISION]
    reason, attempts, successes, each = run(FakeCell([[grasp(0.0)]], outcomes))
    assert (reason, attempts, successes) == (EndReason.FAILURES, 4, 1)
    assert [attempt.number for attempt in each] == [1, 2, 3, 4]


def test_max_attempts() -> None:
    cell = FakeCell([[grasp(0.0)]], [PickOutcome.SUCCESS] * 3)
    assert run(cell, ClearSettings(max_attempts=3))[:3] == (EndReason.ATTEMPTS, 3, 3)


@pytest.mark.parametrize("step", ["home", "detect", "scene"])
@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (PickOutcome.CANCELED, EndReason.CANCELED),
        (PickOutcome.STOPPED, EndReason.STOPPED),
        (PickOutcome.NOT_READY, EndReason.ERROR),
        (PickOutcome.TIMED_OUT, EndReason.ERROR),
    ],
)
def test_what_fails_around_the_pick_ends_it(step: str, outcome: PickOutcome, reason: EndReason) -> None:
    cell = FakeCell([[grasp(0.0)]], [], {step: PickError(outcome, "said so")})
    result = clear_table(cell, ClearSettings(), lambda attempt: None)
    assert (result.reason, result.message, result.attempts) == (reason, "said so", 0)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (PickOutcome.CANCELED, EndReason.CANCELED),
        (PickOutcome.STOPPED, EndReason.STOPPED),
        (PickOutcome.NOT_READY, EndReason.ERROR),
        (PickOutcome.UNKNOWN_FRAME, EndReason.ERROR),
    ],
)
def test_what_no_other_grasp_can_cure_ends_it(outcome: PickOutcome, reason: EndReason) -> None:
    assert run(FakeCell([[grasp(0.0)]], [outcome]))[0] is reason


def test_the_best_candidates_go_to_the_planner() -> None:
    many = [grasp(0.1 * index) for index in range(20)]
    cell = FakeCell([many], [PickOutcome.SUCCESS])
    run(cell, ClearSettings(max_attempts=1, max_candidates=10))
    assert list(cell.requests[0].candidates) == many[:10]


def test_a_place_of_failure_is_tried_last() -> None:
    bad, good = grasp(0.0), grasp(0.1, quality=0.6)
    cell = FakeCell([[bad, good]], [PickOutcome.NOTHING_GRASPED, PickOutcome.SUCCESS])
    run(cell, ClearSettings(max_attempts=2))
    assert list(cell.requests[0].candidates) == [bad, good]
    assert list(cell.requests[1].candidates) == [good, bad]


def test_candidates_that_no_plan_reaches_make_room_for_the_next() -> None:
    many = [grasp(0.1 * index) for index in range(4)]
    cell = FakeCell([many], [PickOutcome.APPROACH_BLOCKED, PickOutcome.SUCCESS])
    run(cell, ClearSettings(max_attempts=2, max_candidates=2))
    assert list(cell.requests[1].candidates) == many[2:]


def test_a_dry_run_shows_one_plan() -> None:
    cell = FakeCell([[grasp(0.0)]], [PickOutcome.SUCCESS])
    assert run(cell, ClearSettings(dry_run=True))[:3] == (EndReason.ATTEMPTS, 0, 0)


@pytest.mark.parametrize(
    ("other", "near"),
    [
        (grasp(0.019), True),
        (grasp(0.021), False),
        (grasp(0.0, 29.0), True),
        (grasp(0.0, 31.0), False),
        (grasp(0.0, 180.0), True),
        (grasp(0.0, 155.0), True),
        (grasp(0.0, 90.0), False),
    ],
)
def test_near_a_failure_up_to_the_grippers_half_turn(other: Candidate, near: bool) -> None:
    failed = FailedGrasps(0.02, 0.5236)
    failed.remember([grasp(0.0)])
    assert failed.is_near(other) is near
