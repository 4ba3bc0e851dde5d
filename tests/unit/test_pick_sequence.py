"""The order of a pick, each way it can end, and the way back from there; with a fake arm and a fake planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform

from giga_grasping.pick_outcome import After, Candidate, Phase, PickError, PickOutcome
from giga_grasping.pick_sequence import GraspPlan, MotionPlan, PickRequest, PickSequence, PickSettings, PoseGoal

CANDIDATES = [Candidate(RigidTransform.identity(), 0.03, 0.9), Candidate(RigidTransform.identity(), 0.05, 0.8)]
PLACE = PoseGoal("panda_link0", RigidTransform.from_translation([0.5, 0.1, 0.2]))


@dataclass
class FakeCell:
    """A planner and a robot that note what is asked of them, and fail where `failures` says so, each failure once."""

    failures: dict[str, PickError] = field(default_factory=dict)
    openings_m: list[float] = field(default_factory=lambda: [0.031, 0.030, 0.030])
    calls: list[str] = field(default_factory=list)
    home: bool = False

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failures:
            raise self.failures.pop(call)

    def plan_grasp(
        self, candidates: Sequence[Candidate], frame_id: str, scene_id: str, start: Mapping[str, float]
    ) -> GraspPlan:
        self._note("plan grasp")
        return GraspPlan(1, "reach", "approach", "retreat", 10.0)

    def plan_motion(
        self, goal: str | PoseGoal, scene_id: str, start: Mapping[str, float], carrying: bool = False
    ) -> MotionPlan:
        name = goal if isinstance(goal, str) else f"z={goal.T_frame_tcp.translation[2]:.2f}"
        self._note(f"plan {name} in {scene_id or 'the bare cell'}")
        return MotionPlan(f"to {name}", 5.0)

    def joints(self) -> Mapping[str, float]:
        return {"joint": 0.0}

    def at_home(self) -> bool:
        return self.home

    def follow(self, trajectory: str, purpose: str) -> None:
        self._note(f"follow {trajectory}")

    def retrace(self, trajectory: str, purpose: str) -> None:
        self._note(f"retrace {trajectory}")

    def open_gripper(self) -> None:
        self._note("open")

    def close_gripper(self, width_m: float) -> None:
        self._note(f"close on {width_m}")

    def finger_opening_m(self) -> float:
        return self.openings_m.pop(0)


def request(after: After = After.BIN, candidates: Sequence[Candidate] = tuple(CANDIDATES)) -> PickRequest:
    return PickRequest(candidates, "panda_link0", "scene", after, PLACE if after is After.PLACE else None)


def sequence(cell: FakeCell, settings: PickSettings | None = None) -> tuple[PickSequence, list[Phase]]:
    phases: list[Phase] = []
    return PickSequence(cell, cell, settings or PickSettings(), lambda phase, _: phases.append(phase)), phases


HOMEWARD = ["plan home in scene", "follow to home"]
TO_THE_LIFT = ["plan grasp", "open", "follow reach", "follow approach", "close on 0.05", "follow retreat"]
TO_THE_BIN = [*TO_THE_LIFT, "plan bin in scene", "follow to bin"]


def test_success_takes_the_phases_in_their_order() -> None:
    cell = FakeCell()
    pick, phases = sequence(cell)
    result = pick.run(request())
    assert cell.calls == [*TO_THE_BIN, "open", *HOMEWARD]
    assert phases == list(Phase)
    assert result.outcome is PickOutcome.SUCCESS
    assert result.grasp_index == 1
    assert result.measured_width_m == 0.030
    assert result.planning_ms == pytest.approx(20.0)


def test_hold_ends_with_the_object_lifted() -> None:
    cell = FakeCell()
    assert sequence(cell)[0].run(request(After.HOLD)).success
    assert cell.calls == TO_THE_LIFT


def test_place_comes_from_behind_the_place_pose() -> None:
    cell = FakeCell(openings_m=[0.03] * 3)
    assert sequence(cell)[0].run(request(After.PLACE)).success
    carried = cell.calls[len(TO_THE_LIFT) :]
    assert carried == [
        "plan z=0.10 in scene",
        "follow to z=0.10",
        "plan z=0.20 in scene",
        "follow to z=0.20",
        "open",
        *HOMEWARD,
    ]


def test_dry_run_moves_nothing() -> None:
    cell = FakeCell()
    shown: list[object] = []
    pick = PickSequence(cell, cell, PickSettings(dry_run=True), on_plan=shown.append)
    assert "dry run" in pick.run(request()).message
    assert cell.calls == ["plan grasp"]
    assert shown == [("reach", "approach", "retreat")]


def test_no_candidates() -> None:
    cell = FakeCell()
    assert sequence(cell)[0].run(request(candidates=())).outcome is PickOutcome.NO_CANDIDATES
    assert cell.calls == []


@pytest.mark.parametrize(
    "outcome",
    [
        PickOutcome.UNKNOWN_SCENE,
        PickOutcome.UNKNOWN_FRAME,
        PickOutcome.START_INVALID,
        PickOutcome.NO_IK_SOLUTION,
        PickOutcome.IN_COLLISION,
        PickOutcome.APPROACH_BLOCKED,
        PickOutcome.PLANNING_FAILED,
        PickOutcome.INVALID_REQUEST,
        PickOutcome.NOT_READY,
        PickOutcome.TIMED_OUT,
    ],
)
def test_a_refused_plan_moves_nothing(outcome: PickOutcome) -> None:
    cell = FakeCell({"plan grasp": PickError(outcome, "because")})
    result = sequence(cell)[0].run(request())
    assert (result.outcome, result.message, result.grasp_index) == (outcome, "planning: because", -1)
    assert cell.calls == ["plan grasp"]


@pytest.mark.parametrize("outcome", [PickOutcome.EXECUTION_FAILED, PickOutcome.START_MISMATCH, PickOutcome.TIMED_OUT])
def test_a_failed_reach_goes_home(outcome: PickOutcome) -> None:
    cell = FakeCell({"follow reach": PickError(outcome, "because")})
    assert sequence(cell)[0].run(request()).outcome is outcome
    assert cell.calls == ["plan grasp", "open", "follow reach", *HOMEWARD]


def test_a_failed_approach_backs_out_the_way_it_came() -> None:
    cell = FakeCell({"follow approach": PickError(PickOutcome.EXECUTION_FAILED, "contact")})
    assert sequence(cell)[0].run(request()).outcome is PickOutcome.EXECUTION_FAILED
    assert cell.calls == ["plan grasp", "open", "follow reach", "follow approach", "retrace approach", *HOMEWARD]


def test_contact_may_end_the_approach_when_so_told() -> None:
    cell = FakeCell({"follow approach": PickError(PickOutcome.EXECUTION_FAILED, "contact")})
    assert sequence(cell, PickSettings(grasp_on_approach_contact=True))[0].run(request()).success


def test_nothing_grasped_opens_in_place_and_retreats() -> None:
    cell = FakeCell(openings_m=[0.001])
    result = sequence(cell)[0].run(request())
    assert result.outcome is PickOutcome.NOTHING_GRASPED
    assert "1.0 mm" in result.message
    assert cell.calls == [*TO_THE_LIFT[:-1], "open", "follow retreat", *HOMEWARD]


def test_a_gripper_that_fails_does_not_keep_the_arm_in_the_scene() -> None:
    jammed = PickError(PickOutcome.GRIPPER_FAILED, "jammed")
    cell = FakeCell({"close on 0.05": jammed})
    assert sequence(cell)[0].run(request()).outcome is PickOutcome.GRIPPER_FAILED
    assert cell.calls[-3:] == ["follow retreat", *HOMEWARD]


def test_an_object_lost_on_the_lift() -> None:
    cell = FakeCell(openings_m=[0.03, 0.0])
    assert sequence(cell)[0].run(request()).outcome is PickOutcome.OBJECT_LOST
    assert cell.calls == [*TO_THE_LIFT, "open", *HOMEWARD]


def test_an_object_lost_on_the_way_to_the_bin() -> None:
    cell = FakeCell(openings_m=[0.03, 0.03, 0.0])
    assert sequence(cell)[0].run(request()).outcome is PickOutcome.OBJECT_LOST
    assert cell.calls == [*TO_THE_BIN, *HOMEWARD]


def test_without_a_way_to_the_bin_the_object_is_put_back() -> None:
    cell = FakeCell({"plan bin in scene": PickError(PickOutcome.PLANNING_FAILED, "no way")})
    assert sequence(cell)[0].run(request()).outcome is PickOutcome.PLANNING_FAILED
    put_back = ["retrace retreat", "open", "follow retreat"]
    assert cell.calls == [*TO_THE_LIFT, "plan bin in scene", *put_back, *HOMEWARD]


def test_halted_on_the_way_to_the_bin_it_tries_once_more() -> None:
    cell = FakeCell({"follow to bin": PickError(PickOutcome.EXECUTION_FAILED, "halted")})
    assert sequence(cell)[0].run(request()).success
    assert cell.calls == [*TO_THE_BIN, "plan bin in scene", "follow to bin", "open", *HOMEWARD]


def test_an_object_is_not_dropped_between_table_and_bin() -> None:
    cell = FakeCell({"follow to bin": PickError(PickOutcome.TIMED_OUT, "stuck")})
    result = sequence(cell)[0].run(request())
    assert result.outcome is PickOutcome.TIMED_OUT
    assert "still in the hand" in result.message
    assert cell.calls == TO_THE_BIN


def test_a_pick_has_succeeded_even_when_the_way_home_fails() -> None:
    cell = FakeCell({"follow to home": PickError(PickOutcome.TIMED_OUT, "stuck")})
    result = sequence(cell)[0].run(request())
    assert result.success
    assert "stuck" in result.message


def test_a_halted_way_home_is_planned_again() -> None:
    cell = FakeCell({"follow to home": PickError(PickOutcome.EXECUTION_FAILED, "halted")})
    assert sequence(cell)[0].run(request()).success
    assert cell.calls == [*TO_THE_BIN, "open", *HOMEWARD, *HOMEWARD]


def test_the_way_home_is_tried_even_when_backing_out_fails() -> None:
    contact, again = (PickError(PickOutcome.EXECUTION_FAILED, word) for word in ("contact", "again"))
    cell = FakeCell({"follow approach": contact, "retrace approach": again})
    result = sequence(cell)[0].run(request())
    assert "contact" in result.message
    assert "again" in result.message
    assert cell.calls[-3:] == ["retrace approach", *HOMEWARD]


def test_the_way_home_is_found_without_the_scene_when_the_scene_forbids_it() -> None:
    cell = FakeCell(
        {
            "follow reach": PickError(PickOutcome.EXECUTION_FAILED, "halted"),
            "plan home in scene": PickError(PickOutcome.START_INVALID, "touches"),
        }
    )
    sequence(cell)[0].run(request())
    assert cell.calls[-3:] == ["plan home in scene", "plan home in the bare cell", "follow to home"]


@pytest.mark.parametrize("outcome", [PickOutcome.CANCELED, PickOutcome.STOPPED])
@pytest.mark.parametrize("step", [*TO_THE_BIN, "open", *HOMEWARD])
def test_nothing_moves_after_an_interruption(step: str, outcome: PickOutcome) -> None:
    cell = FakeCell({step: PickError(outcome, "halt")})
    result = sequence(cell)[0].run(request())
    assert result.outcome is outcome
    assert cell.calls[-1] == step


def test_an_interruption_on_the_way_back_is_what_counts() -> None:
    cell = FakeCell(
        {
            "follow approach": PickError(PickOutcome.EXECUTION_FAILED, "contact"),
            "retrace approach": PickError(PickOutcome.STOPPED, "halt"),
        }
    )
    result = sequence(cell)[0].run(request())
    assert result.outcome is PickOutcome.STOPPED
    assert "contact" in result.message
    assert cell.calls[-1] == "retrace approach"


def test_above_draws_back_along_the_approach() -> None:
    from giga_grasping.pick_sequence import above

    upside_down = PoseGoal("base", RigidTransform.from_matrix(np.diag([1.0, -1.0, -1.0, 1.0])))
    np.testing.assert_allclose(above(upside_down, 0.1).T_frame_tcp.translation, [0.0, 0.0, 0.1])
