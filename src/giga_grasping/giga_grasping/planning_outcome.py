"""How a planning request ends. The numbers are those of giga_msgs/PlanGrasp and PlanMotion."""

from __future__ import annotations

from enum import IntEnum


class PlanningOutcome(IntEnum):
    """Outcome codes, in the order in which a grasp can fail."""

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


class PlanningError(Exception):
    """A request ends without a plan; the message is a sentence for a person."""

    def __init__(self, outcome: PlanningOutcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
