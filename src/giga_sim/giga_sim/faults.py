"""Faults that can be switched on to see how the rest of the stack takes them: name -> what it does."""

from __future__ import annotations

CAMERA_DEAD = "camera_dead"
GRIPPER_JAMMED = "gripper_jammed"
ARM_STUCK = "arm_stuck"

FAULTS: dict[str, str] = {
    CAMERA_DEAD: "the camera publishes nothing any more",
    GRIPPER_JAMMED: "the fingers stay where they are; gripper commands run and end by their own rules",
    ARM_STUCK: "the arm stays where it is; trajectories are accepted and never end unless cancelled",
}


class UnknownFaultError(ValueError):
    """No fault has this name; the message lists those that exist."""


def checked_fault(name: str) -> str:
    """`name`, when there is such a fault. Raises UnknownFaultError with the list of names otherwise."""
    if name not in FAULTS:
        raise UnknownFaultError(f"there is no fault called {name!r}; there are {', '.join(sorted(FAULTS))}")
    return name
