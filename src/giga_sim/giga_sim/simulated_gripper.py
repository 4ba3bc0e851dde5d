"""The gripper's commands: what the fingers are told at each step, and how a command ends.

Semantics are libfranka's: `move` goes to a width; `grasp` closes with a force until the fingers stop and succeeds when
the width they stopped at is within the epsilons; a new command ends the one being carried out. Widths are the distance
between the pads, the sum of both fingers' positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# The fingers count as stopped when, for STALL_TIME_S, they were slower than this together.
STALL_SPEED_M_S = 0.002
STALL_TIME_S = 0.10
# A move has arrived when the width is this near.
ARRIVED_M = 0.0005
# No command moves at less than this, or a goal with speed 0 would never end.
SLOWEST_M_S = 0.001


class GripperCommandKind(Enum):
    """What a command asks for."""

    HOMING = "homing"
    MOVE = "move"
    GRASP = "grasp"


@dataclass
class GripperCommand:
    """One command and, in the end, its outcome.

    `width_m` is the target; of a grasp, the width expected of the object.
    """

    kind: GripperCommandKind
    width_m: float
    speed_m_s: float
    force_n: float
    epsilon_inner_m: float = 0.005
    epsilon_outer_m: float = 0.005
    success: bool | None = None
    message: str = ""
    final_width_m: float = 0.0
    # Whether it ended because it was stopped or another command was started, rather than by itself.
    interrupted: bool = False

    @property
    def finished(self) -> bool:
        """Whether the outcome is known."""
        return self.success is not None


@dataclass(frozen=True)
class FingerTarget:
    """What the fingers are told for a step: a width to be at, its rate of change, each finger's force limit."""

    width_m: float
    rate_m_s: float
    force_n: float


@dataclass
class SimulatedGripper:
    """Leads the commanded width along the command being carried out, or holds it."""

    max_width_m: float
    hold_force_n: float
    setpoint: FingerTarget
    command: GripperCommand | None = field(default=None)
    _stalled_s: float = field(default=0.0, init=False)
    _homing_opens: bool = field(default=False, init=False)

    def start(self, command: GripperCommand, width_m: float) -> None:
        """Carry out `command`, from the measured `width_m`; one that is being carried out ends without success."""
        self.interrupt("another gripper command was started", width_m)
        self._stalled_s = 0.0
        self._homing_opens = False
        if not 0.0 <= command.width_m <= self.max_width_m + 1e-6:
            command.final_width_m = width_m
            command.message = (
                f"the width {command.width_m:.4f} m is outside the gripper's range, 0 to {self.max_width_m:.3f} m"
            )
            command.success = False
            return
        self.command = command
        # The commanded width runs ahead of fingers that hold something; a new motion starts where they are.
        self.setpoint = FingerTarget(width_m, 0.0, self.setpoint.force_n)

    def end(self, success: bool, message: str, width_m: float) -> None:
        """End the command, if there is one; the fingers keep the force of the command, a grasp keeps pressing."""
        command = self.command
        if command is None:
            return
        target_m = 0.0 if command.kind is GripperCommandKind.GRASP else self.setpoint.width_m
        self.setpoint = FingerTarget(target_m, 0.0, command.force_n)
        self.command = None
        command.final_width_m = width_m
        command.message = message
        command.success = success

    def interrupt(self, reason: str, width_m: float) -> None:
        """End the command, if there is one, because something else is to happen."""
        if self.command is not None:
            self.command.interrupted = True
            self.end(False, reason, width_m)

    def stop(self, reason: str, width_m: float) -> None:
        """Stop the fingers where they are, at the measured width, and end the command without success."""
        self.interrupt(reason, width_m)
        self.setpoint = FingerTarget(width_m, 0.0, self.hold_force_n)

    def advance(self, step_s: float) -> FingerTarget:
        """The target for the coming step of `step_s`."""
        command = self.command
        if command is None:
            return self.setpoint
        goal_m = self._goal_width_m(command)
        speed = max(command.speed_m_s, SLOWEST_M_S)
        distance = goal_m - self.setpoint.width_m
        travel = max(-speed * step_s, min(speed * step_s, distance))
        self.setpoint = FingerTarget(self.setpoint.width_m + travel, travel / step_s, command.force_n)
        return self.setpoint

    def check(self, step_s: float, width_m: float, rate_m_s: float) -> None:
        """Look at the measured width and its rate after the step, and end the command when that decides it."""
        command = self.command
        if command is None:
            return
        slow = abs(rate_m_s) < min(STALL_SPEED_M_S, 0.2 * max(command.speed_m_s, SLOWEST_M_S))
        self._stalled_s = self._stalled_s + step_s if slow else 0.0
        stalled = self._stalled_s >= STALL_TIME_S
        if command.kind is GripperCommandKind.GRASP:
            if stalled:
                self._end_grasp(command, width_m)
            return
        goal_m = self._goal_width_m(command)
        arrived = abs(width_m - goal_m) <= ARRIVED_M and abs(self.setpoint.width_m - goal_m) <= 1e-9
        if arrived and command.kind is GripperCommandKind.HOMING and not self._homing_opens:
            self._homing_opens = True
            self._stalled_s = 0.0
        elif arrived:
            self.end(True, "", width_m)
        elif stalled:
            self.end(False, f"the fingers stopped at {width_m:.4f} m, on the way to {goal_m:.4f} m", width_m)

    def _goal_width_m(self, command: GripperCommand) -> float:
        if command.kind is GripperCommandKind.GRASP:
            return 0.0
        if command.kind is GripperCommandKind.HOMING:
            return self.max_width_m if self._homing_opens else 0.0
        return min(command.width_m, self.max_width_m)

    def _end_grasp(self, command: GripperCommand, width_m: float) -> None:
        lower_m = command.width_m - command.epsilon_inner_m
        upper_m = command.width_m + command.epsilon_outer_m
        held = lower_m < width_m < upper_m
        message = (
            "" if held else f"the fingers closed to {width_m:.4f} m, not between {lower_m:.4f} and {upper_m:.4f} m"
        )
        self.end(held, message, width_m)
