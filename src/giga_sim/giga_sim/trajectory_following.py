"""One `follow_joint_trajectory` goal at a time: what the joints are told at each step, and how the goal ends.

The behaviour is JointTrajectoryController's: tolerances may be empty (then unchecked), a new goal preempts the one
being followed, cancelling holds the joints where they are. On top of it stands what the real arm adds: a commanded
jump, or a lag that means the arm is held by something, ends in a reflex that stops the arm. Unlike the real one the
arm recovers from it by itself: the next goal is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from giga_sim.joint_trajectory import JointSetpoint, JointTrajectory

# A commanded step above this between two control cycles is a discontinuity that the real arm answers with a reflex;
# at the arm's velocity limits a step is 0.011 rad.
REFLEX_STEP_RAD = 0.05
# A lag above this means that something holds the arm; the real one would have felt the contact force by then.
REFLEX_LAG_RAD = 0.20


def hold_at(positions: np.ndarray) -> JointSetpoint:
    """The setpoint that rests at `positions` [J]."""
    zeros = np.zeros(len(positions))
    return JointSetpoint(np.array(positions, dtype=float), zeros, zeros)


class TrajectoryOutcome(Enum):
    """How a goal ended."""

    SUCCEEDED = "succeeded"
    PATH_TOLERANCE = "path tolerance"
    GOAL_TOLERANCE = "goal tolerance"
    PREEMPTED = "preempted"
    CANCELED = "canceled"
    REFLEX = "reflex"


@dataclass(frozen=True)
class Tolerances:
    """Allowed differences, each [J], from the setpoint; infinite means unchecked."""

    path_position_rad: np.ndarray
    goal_position_rad: np.ndarray
    goal_velocity_rad_s: np.ndarray
    # How long after the trajectory's end the joints may take to come within the goal tolerances; None waits for ever.
    goal_time_s: float | None = None

    @staticmethod
    def unchecked(joint_count: int) -> Tolerances:
        """The tolerances of a goal that names none."""
        infinite = np.full(joint_count, np.inf)
        return Tolerances(infinite, infinite, infinite)


@dataclass
class TrajectoryGoal:
    """A goal and, in the end, its outcome. Written by the simulation alone; others read `outcome` once it is set."""

    trajectory: JointTrajectory
    tolerances: Tolerances
    # The control step at which it begins; counted, not timed, so that a motion is the same to the last bit whenever it
    # runs.
    start_step: int
    outcome: TrajectoryOutcome | None = None
    message: str = ""

    @property
    def finished(self) -> bool:
        """Whether the outcome is known."""
        return self.outcome is not None

    @property
    def interrupted(self) -> bool:
        """Whether it ended because its client or another one said so, not by itself."""
        return self.outcome in (TrajectoryOutcome.PREEMPTED, TrajectoryOutcome.CANCELED)


@dataclass
class TrajectoryFollower:
    """The controller: holds `setpoint`, or leads it along the trajectory of `goal`."""

    joint_names: tuple[str, ...]
    step_s: float
    setpoint: JointSetpoint
    goal: TrajectoryGoal | None = field(default=None)

    def start(self, goal: TrajectoryGoal) -> None:
        """Follow `goal` from now on; one that is being followed ends as preempted."""
        self.end(TrajectoryOutcome.PREEMPTED, "Current goal preempted by new incoming action.")
        self.goal = goal

    def end(self, outcome: TrajectoryOutcome, message: str) -> None:
        """End the goal, if there is one, with `outcome`; the setpoint stays, at rest."""
        if self.goal is not None:
            self.goal.message = message
            self.goal.outcome = outcome
            self.goal = None

    def hold(self, positions: np.ndarray) -> None:
        """Hold the joints at `positions` [J], whatever was being followed."""
        self.setpoint = hold_at(positions)

    def elapsed_s(self, step: int) -> float:
        """How long the goal has been followed after `step` control steps in all; below 0 when it is yet to begin."""
        return 0.0 if self.goal is None else (step - self.goal.start_step) * self.step_s

    def advance(self, step: int, positions: np.ndarray) -> JointSetpoint:
        """The setpoint for the end of control step `step`; `positions` [J] are those measured before it."""
        if self.goal is None or step < self.goal.start_step:
            return self.setpoint
        setpoint = self.goal.trajectory.at(self.elapsed_s(step))
        change = np.abs(setpoint.positions - self.setpoint.positions)
        if change.max() > REFLEX_STEP_RAD:
            joint = int(change.argmax())
            self._reflex(
                positions,
                f"the commanded position of {self.joint_names[joint]} jumped by {change[joint]:.3f} rad in one control "
                "cycle; start a trajectory where the arm is",
            )
            return self.setpoint
        self.setpoint = setpoint
        return setpoint

    def check(self, step: int, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Compare what is measured after control step `step` with the setpoint; end the goal when that decides it."""
        goal = self.goal
        if goal is None:
            return
        error = np.abs(positions - self.setpoint.positions)
        if error.max() > REFLEX_LAG_RAD:
            joint = int(error.argmax())
            self._reflex(
                positions,
                f"{self.joint_names[joint]} lags {error[joint]:.3f} rad behind its trajectory: something holds the arm",
            )
            return
        elapsed_s = self.elapsed_s(step)
        if elapsed_s < goal.trajectory.duration_s:
            if np.any(error > goal.tolerances.path_position_rad):
                self.hold(positions)
                self.end(TrajectoryOutcome.PATH_TOLERANCE, "Aborted due to path tolerance violation")
            return
        within = np.all(error <= goal.tolerances.goal_position_rad) and np.all(
            np.abs(velocities) <= goal.tolerances.goal_velocity_rad_s
        )
        if within:
            self.end(TrajectoryOutcome.SUCCEEDED, "Goal successfully reached!")
            return
        late_s = elapsed_s - goal.trajectory.duration_s
        if goal.tolerances.goal_time_s is not None and late_s > goal.tolerances.goal_time_s:
            self.hold(positions)
            self.end(
                TrajectoryOutcome.GOAL_TOLERANCE,
                f"Aborted due to goal_time_tolerance exceeding by {late_s:.6f} seconds",
            )

    def _reflex(self, positions: np.ndarray, reason: str) -> None:
        self.hold(positions)
        self.end(TrajectoryOutcome.REFLEX, f"Reflex: {reason}. The arm has stopped.")
