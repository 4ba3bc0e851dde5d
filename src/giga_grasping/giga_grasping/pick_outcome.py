"""How a pick can end, in words and codes; what a pick needs to know about a grasp."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from scipy.spatial.transform import RigidTransform


class PickOutcome(IntEnum):
    """The outcome codes of giga_msgs/action/ExecuteGrasp; those from -1 to -9 are the planner's own."""

    SUCCESS = 1
    NO_CANDIDATES = -1
    UNKNOWN_SCENE = -2
    UNKNOWN_FRAME = -3
    START_INVALID = -4
    NO_IK_SOLUTION = -5
    IN_COLLISION = -6
    APPROACH_BLOCKED = -7
    PLANNING_FAILED = -8
    INVALID_REQUEST = -9
    NOT_READY = -20
    BUSY = -21
    CANDIDATES_STALE = -22
    STOPPED = -23
    CANCELED = -24
    START_MISMATCH = -25
    EXECUTION_FAILED = -26
    GRIPPER_FAILED = -27
    NOTHING_GRASPED = -28
    OBJECT_LOST = -29
    TIMED_OUT = -30


class Phase(StrEnum):
    """Where a pick is; the feedback of ExecuteGrasp uses these words."""

    PLANNING = "planning"
    REACHING = "reaching"
    APPROACHING = "approaching"
    CLOSING = "closing"
    RETREATING = "retreating"
    TRANSPORTING = "transporting"
    RELEASING = "releasing"
    HOMING = "homing"


class After(IntEnum):
    """What happens to the object after the lift; the constants of ExecuteGrasp."""

    HOLD = 0
    BIN = 1
    PLACE = 2


class PickError(Exception):
    """Something that ends a pick: its code, and one sentence for the person who reads the result."""

    def __init__(self, outcome: PickOutcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message

    @property
    def interrupts(self) -> bool:
        """Whether somebody asked for the arm to stop, so that it must not move on by itself."""
        return self.outcome in (PickOutcome.CANCELED, PickOutcome.STOPPED)


@dataclass(frozen=True)
class Candidate:
    """One grasp to try. `T_frame_tcp` maps panda_hand_tcp into the frame that carries the candidates."""

    T_frame_tcp: RigidTransform
    width_m: float
    quality: float


@dataclass(frozen=True)
class PickResult:
    """How a pick ended. `grasp_index` is -1 when no candidate was used."""

    outcome: PickOutcome
    message: str
    grasp_index: int = -1
    measured_width_m: float = 0.0
    planning_ms: float = 0.0

    @property
    def success(self) -> bool:
        return self.outcome is PickOutcome.SUCCESS
