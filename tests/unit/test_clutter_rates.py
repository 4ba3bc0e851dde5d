"""What is counted over rounds: rates, their spread over series, where objects stayed, and the running estimate."""

from __future__ import annotations

import pytest

from giga_sim.clutter_benchmark import RunningEstimate
from giga_sim.clutter_rates import rates_of, series_rates_of, whereabouts_of
from giga_sim.clutter_round import RoundResult

TWO_FAILURES = RoundResult(0, 5, 5, 3, 1, 1, 0, "two failures", (50.0,) * 5)
PUSHED_OUT = RoundResult(1, 3, 3, 2, 0, 1, 0, "pushed out", (60.0,) * 3)
REFUSED = RoundResult(2, 4, 2, 2, 2, 0, 1, "refused", (70.0,) * 3)


def test_rates_count_attempts_and_objects() -> None:
    rates = rates_of([TWO_FAILURES, PUSHED_OUT])
    assert rates.gsr == pytest.approx(100.0 * 5 / 8)
    assert rates.dr == pytest.approx(100.0 * 5 / 8)
    assert rates.gsr_interval[0] < rates.gsr < rates.gsr_interval[1]


def test_no_attempt_at_all_is_a_rate_of_zero() -> None:
    assert rates_of([RoundResult(0, 5, 0, 0, 5, 0, 1, "refused", ())]).gsr == 0.0


def test_series_have_a_mean_and_a_sample_deviation() -> None:
    rates = series_rates_of([[TWO_FAILURES], [REFUSED]])
    assert rates.gsr == pytest.approx((60.0, 100.0))
    assert rates.gsr_mean == pytest.approx(80.0)
    assert rates.gsr_std == pytest.approx(800.0**0.5)
    assert rates.dr == pytest.approx((60.0, 50.0))
    assert series_rates_of([[REFUSED]]).dr_std is None


def test_objects_are_counted_by_the_end_of_their_round() -> None:
    where = whereabouts_of([REFUSED, PUSHED_OUT, TWO_FAILURES, TWO_FAILURES])
    assert list(where) == ["pushed out", "refused", "two failures"]
    assert (where["two failures"].rounds, where["two failures"].left, where["two failures"].pushed_out) == (2, 2, 2)
    assert (where["refused"].lifted, where["refused"].left) == (2, 2)
    assert all(found.objects == found.lifted + found.left + found.pushed_out for found in where.values())


def test_the_running_estimate_speaks_every_few_seconds_and_at_the_end() -> None:
    now_s = [0.0]
    estimate = RunningEstimate(total=4, done_before=1, interval_s=3.0, clock=lambda: now_s[0])
    assert estimate.line([PUSHED_OUT]) is None, "nothing of this run yet"
    now_s[0] = 2.0
    assert estimate.line([PUSHED_OUT, REFUSED]) is None, "too soon"
    now_s[0] = 60.0
    line = estimate.line([PUSHED_OUT, REFUSED, TWO_FAILURES])
    # Two rounds of this run in 60 s, one to go; the round of an earlier run says nothing of speed.
    assert line is not None
    assert line.startswith("3/4 rounds: GSR 70.0 % (60.0 to 100.0), DR 58.3 % (")
    assert line.endswith("; 30 s left")
    now_s[0] = 61.0
    assert (estimate.line([PUSHED_OUT, REFUSED, TWO_FAILURES, REFUSED]) or "").endswith("; 0 s left")
