"""One pick from ranked candidates to an object in the bin: the order of things, and the way back from each failure.

`PickSequence.run` is the state machine. It knows no ROS: a planner, a robot and a listener are handed in as the
protocols below, and each of their methods either does what its name says or raises `PickError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from scipy.spatial.transform import RigidTransform

from giga_grasping.pick_outcome import After, Candidate, Phase, PickError, PickOutcome, PickResult

# Goes from the planner to the robot unopened.
Trajectory: TypeAlias = Any

HOME = "home"
BIN = "bin"


@dataclass(frozen=True)
class GraspPlan:
    """Three trajectories of the arm, each starting where the one before ends, for the candidate `index`."""

    index: int
    reach: Trajectory
    approach: Trajectory
    retreat: Trajectory
    planning_ms: float


@dataclass(frozen=True)
class MotionPlan:
    """One free motion of the arm."""

    trajectory: Trajectory
    planning_ms: float


@dataclass(frozen=True)
class PoseGoal:
    """Where panda_hand_tcp is to go, in the frame `frame_id`."""

    frame_id: str
    T_frame_tcp: RigidTransform


class Planner(Protocol):
    """Collision-free motion; `start` gives the arm's joints by name, in radians."""

    def plan_grasp(
        self, candidates: Sequence[Candidate], frame_id: str, scene_id: str, start: Mapping[str, float]
    ) -> GraspPlan: ...

    # `carrying`: something is between the fingers, so go gently.
    def plan_motion(
        self, goal: str | PoseGoal, scene_id: str, start: Mapping[str, float], carrying: bool = False
    ) -> MotionPlan: ...


class Robot(Protocol):
    """The arm and its gripper. Every method returns when the motion has ended."""

    def joints(self) -> Mapping[str, float]: ...
    def at_home(self) -> bool: ...
    def follow(self, trajectory: Trajectory, purpose: str) -> None: ...

    # Back along a trajectory, from the place on it that the arm has reached to its start.
    def retrace(self, trajectory: Trajectory, purpose: str) -> None: ...
    def open_gripper(self) -> None: ...

    # Close with effort on whatever is there; `width_m` is the candidate's.
    def close_gripper(self, width_m: float) -> None: ...

    # Distance between the pads now, measured.
    def finger_opening_m(self) -> float: ...


@dataclass(frozen=True)
class PickSettings:
    """What a user may set about a pick; the units are in the names."""

    min_held_width_m: float = 0.004
    grasp_on_approach_contact: bool = False
    place_clearance_m: float = 0.10
    dry_run: bool = False


@dataclass(frozen=True)
class PickRequest:
    """What to pick and what to do with it. `place` is given when `after` is PLACE."""

    candidates: Sequence[Candidate]
    frame_id: str
    scene_id: str
    after: After
    place: PoseGoal | None = None


def go_home(planner: Planner, robot: Robot, scene_id: str) -> float:
    """Bring the arm home by a planned motion; return the milliseconds spent planning.

    When the planner refuses the scene, most often because the hand still touches what was reconstructed there, the
    motion is planned against the fixed obstacles of the cell alone: staying is no better. A motion that something
    halted is planned once more from where the arm came to stand.
    """
    planning_ms = 0.0
    for attempt in (1, 2):
        if robot.at_home():
            break
        try:
            plan = planner.plan_motion(HOME, scene_id, robot.joints())
        except PickError as refusal:
            if refusal.interrupts or not scene_id:
                raise
            plan = planner.plan_motion(HOME, "", robot.joints())
        planning_ms += plan.planning_ms
        try:
            robot.follow(plan.trajectory, "go home")
            break
        except PickError as failure:
            if attempt == 2 or failure.outcome is not PickOutcome.EXECUTION_FAILED:
                raise
    return planning_ms


class PickSequence:
    """Carries out one pick. Use a new one for each: it remembers where it is."""

    def __init__(
        self,
        planner: Planner,
        robot: Robot,
        settings: PickSettings,
        on_phase: Callable[[Phase, int], None] = lambda phase, candidate: None,
        on_plan: Callable[[Sequence[Trajectory]], None] = lambda trajectories: None,
    ) -> None:
        self._planner = planner
        self._robot = robot
        self._settings = settings
        self._on_phase = on_phase
        self._on_plan = on_plan
        self._phase = Phase.PLANNING
        self._plan: GraspPlan | None = None
        self._planning_ms = 0.0
        self._held_width_m = 0.0
        self._holding = False
        self._at_lift = False  # the object is still above where it stood

    def run(self, request: PickRequest) -> PickResult:
        """Plan, reach, approach, close, lift, deliver, home. Never raises PickError: the result says how it ended."""
        try:
            plan = self._plan_grasp(request)
            if self._settings.dry_run:
                return self._result(PickOutcome.SUCCESS, "dry run: planned and shown, nothing moved")
            self._reach(plan)
            self._approach(plan)
            self._close(plan, request.candidates[plan.index].width_m)
            self._retreat(plan)
            if request.after is After.HOLD:
                return self._result(PickOutcome.SUCCESS, "the object is held after the lift")
            self._transport(request)
            self._release()
        except PickError as failure:
            message = f"{self._phase}: {failure.message}"
            if failure.interrupts:
                return self._result(failure.outcome, message)  # whoever stopped the arm decides what moves next
            return self._recover(request, failure.outcome, message)
        return self._return_home(request)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._on_phase(phase, self._plan.index if self._plan else -1)

    def _result(self, outcome: PickOutcome, message: str) -> PickResult:
        index = self._plan.index if self._plan else -1
        return PickResult(outcome, message, index, self._held_width_m, self._planning_ms)

    def _plan_grasp(self, request: PickRequest) -> GraspPlan:
        self._enter(Phase.PLANNING)
        if not request.candidates:
            raise PickError(PickOutcome.NO_CANDIDATES, "there is no grasp to try")
        plan = self._planner.plan_grasp(request.candidates, request.frame_id, request.scene_id, self._robot.joints())
        self._planning_ms += plan.planning_ms
        self._plan = plan
        self._on_plan((plan.reach, plan.approach, plan.retreat))
        return plan

    def _plan_motion(self, goal: str | PoseGoal, scene_id: str) -> Trajectory:
        plan = self._planner.plan_motion(goal, scene_id, self._robot.joints(), carrying=True)
        self._planning_ms += plan.planning_ms
        self._on_plan((plan.trajectory,))
        return plan.trajectory

    def _reach(self, plan: GraspPlan) -> None:
        self._enter(Phase.REACHING)
        self._robot.open_gripper()
        self._robot.follow(plan.reach, "reach")

    def _approach(self, plan: GraspPlan) -> None:
        self._enter(Phase.APPROACHING)
        try:
            self._robot.follow(plan.approach, "approach")
        except PickError as failure:
            # The free hand of the benchmark closes where contact ends its approach; an arm may be told to do the same.
            if not (self._settings.grasp_on_approach_contact and failure.outcome is PickOutcome.EXECUTION_FAILED):
                raise

    def _close(self, plan: GraspPlan, width_m: float) -> None:
        self._enter(Phase.CLOSING)
        self._robot.close_gripper(width_m)
        self._require_held(PickOutcome.NOTHING_GRASPED, "the fingers closed on nothing")
        self._holding = True

    def _retreat(self, plan: GraspPlan) -> None:
        self._enter(Phase.RETREATING)
        self._robot.follow(plan.retreat, "retreat")
        self._at_lift = True
        self._held_width_m = self._require_held(PickOutcome.OBJECT_LOST, "held at first, but gone after the lift")

    def _transport(self, request: PickRequest) -> None:
        self._enter(Phase.TRANSPORTING)
        if request.after is After.PLACE:
            if request.place is None:
                raise PickError(PickOutcome.INVALID_REQUEST, "after = PLACE wants a place_pose with a frame")
            self._transport_to(above(request.place, self._settings.place_clearance_m), request.scene_id)
            self._transport_to(request.place, request.scene_id)
        else:
            self._transport_to(BIN, request.scene_id)
        self._require_held(PickOutcome.OBJECT_LOST, "the object was lost on the way")

    def _transport_to(self, goal: str | PoseGoal, scene_id: str) -> None:
        trajectory = self._plan_motion(goal, scene_id)
        self._at_lift = False
        try:
            self._robot.follow(trajectory, "transport")
        except PickError as failure:
            if failure.outcome is not PickOutcome.EXECUTION_FAILED:
                raise
            # Halted on the way with the object in the hand: the bin is still the best place for it.
            self._robot.follow(self._plan_motion(goal, scene_id), "transport, second attempt")

    def _release(self) -> None:
        self._enter(Phase.RELEASING)
        self._robot.open_gripper()
        self._holding = False

    def _require_held(self, outcome: PickOutcome, message: str) -> float:
        opening_m = self._robot.finger_opening_m()
        if opening_m <= self._settings.min_held_width_m:
            self._holding = False
            raise PickError(outcome, f"{message} (the fingers are {1000.0 * opening_m:.1f} mm apart)")
        return opening_m

    def _return_home(self, request: PickRequest) -> PickResult:
        """The object is where it should be: the pick has succeeded, whatever becomes of the way home."""
        try:
            self._bring_home(request)
        except PickError as failure:
            outcome = failure.outcome if failure.interrupts else PickOutcome.SUCCESS
            return self._result(outcome, f"the object was delivered, but on the way home: {failure.message}")
        return self._result(PickOutcome.SUCCESS, "lifted and delivered")

    def _bring_home(self, request: PickRequest) -> None:
        self._enter(Phase.HOMING)
        self._planning_ms += go_home(self._planner, self._robot, request.scene_id)

    def _recover(self, request: PickRequest, outcome: PickOutcome, message: str) -> PickResult:
        """After a failure: leave the scene by the way it was entered, put down what is held, go home."""
        failed_in = self._phase
        if failed_in is Phase.PLANNING:
            return self._result(outcome, message)
        for way_back in (lambda: self._leave(failed_in), lambda: self._bring_home(request)):
            try:
                way_back()
            except PickError as failure:
                message = f"{message}; then, on the way back: {failure.message}"
                if failure.interrupts:
                    return self._result(failure.outcome, message)
            if self._holding and failed_in is Phase.TRANSPORTING:
                return self._result(outcome, f"{message}; the object is still in the hand")
        return self._result(outcome, message)

    def _leave(self, failed_in: Phase) -> None:
        """Back out of the phase that failed, and let go of what is held where that is safe."""
        assert self._plan is not None, "a phase after planning has a plan"
        if failed_in is Phase.APPROACHING:
            self._robot.retrace(self._plan.approach, "back out")
        elif failed_in is Phase.CLOSING:
            self._let_go()
            self._robot.follow(self._plan.retreat, "retreat empty-handed")
        elif failed_in is Phase.RETREATING:
            self._let_go()  # at most a retreat above where the object stood
        elif failed_in is Phase.TRANSPORTING and self._holding and self._at_lift:
            self._robot.retrace(self._plan.retreat, "put back")
            self._let_go()
            self._robot.follow(self._plan.retreat, "retreat empty-handed")
        # Elsewhere between the table and the bin nobody wants the object dropped: it stays in the hand.

    def _let_go(self) -> None:
        """Open, but let a gripper that does not obey keep nobody from bringing the arm home."""
        try:
            self._robot.open_gripper()
        except PickError as failure:
            if failure.interrupts:
                raise
        self._holding = False


def above(goal: PoseGoal, distance_m: float) -> PoseGoal:
    """The same pose, drawn back along the approach (-z of the TCP)."""
    return PoseGoal(goal.frame_id, goal.T_frame_tcp * RigidTransform.from_translation([0.0, 0.0, -distance_m]))
