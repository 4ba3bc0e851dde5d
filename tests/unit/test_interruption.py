"""Waits that end: by the clock, by a clock that stands still, by an interruption."""

from __future__ import annotations

import math

import pytest

from giga_grasping.interruption import Deadline, Interruption, wait_until
from giga_grasping.pick_outcome import PickError, PickOutcome


def timed_out() -> PickError:
    return PickError(PickOutcome.TIMED_OUT, "too long")


def test_a_deadline_passes_on_its_clock() -> None:
    now_s = [10.0]
    deadline = Deadline(5.0, lambda: now_s[0], standstill_s=math.inf)
    now_s[0] = 14.9
    assert not deadline.has_passed()
    now_s[0] = 15.1
    assert deadline.has_passed()


def test_a_deadline_passes_when_its_clock_stands_still() -> None:
    now_s = [10.0]
    deadline = Deadline(5.0, lambda: now_s[0], standstill_s=0.0)
    assert deadline.has_passed()
    patient = Deadline(5.0, lambda: now_s[0], standstill_s=math.inf)
    assert not patient.has_passed()


def test_an_interruption_ends_a_wait_and_the_first_cause_stays() -> None:
    interruption = Interruption()
    interruption.interrupt(PickOutcome.STOPPED, "first")
    interruption.interrupt(PickOutcome.CANCELED, "second")
    with pytest.raises(PickError, match="first") as raised:
        wait_until(lambda: False, 10.0, interruption, timed_out)
    assert raised.value.interrupts


def test_a_wait_ends_in_time() -> None:
    with pytest.raises(PickError, match="too long"):
        wait_until(lambda: False, 0.0, Interruption(), timed_out)
    wait_until(lambda: True, 0.0, Interruption(), timed_out)
