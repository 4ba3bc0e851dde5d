"""GSR and DR over rounds, over several series of rounds, and where the objects stayed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giga_sim.clutter_round import ROUND_ENDS, RoundResult

BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class Rates:
    """Grasp success rate and declutter rate in per cent, each with the ends of its 95 % interval."""

    gsr: float
    gsr_interval: tuple[float, float]
    dr: float
    dr_interval: tuple[float, float]


@dataclass(frozen=True)
class SeriesRates:
    """Rates of each series of rounds in per cent, with mean and sample standard deviation over the series.

    The deviation is None for a single series, which says nothing of it.
    """

    gsr: tuple[float, ...]
    gsr_mean: float
    gsr_std: float | None
    dr: tuple[float, ...]
    dr_mean: float
    dr_std: float | None


@dataclass
class Whereabouts:
    """Of rounds that ended alike: how many, and what became of their objects."""

    rounds: int = 0
    objects: int = 0
    lifted: int = 0
    left: int = 0
    pushed_out: int = 0

    def add(self, result: RoundResult) -> None:
        """Count another round."""
        self.rounds += 1
        self.objects += result.objects
        self.lifted += result.successes
        self.left += result.left
        self.pushed_out += result.pushed_out


def rates_of(rounds: Sequence[RoundResult]) -> Rates:
    """GSR (successes / attempts) and DR (successes / objects at the start) over all these rounds (at least one).

    The intervals come from drawing whole rounds anew, since the attempts of one round depend on each other.
    """
    counts = np.array([[r.successes, r.attempts, r.objects] for r in rounds], dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(counts), size=(BOOTSTRAP_DRAWS, len(counts)))
    drawn = counts[draws].sum(axis=1)

    def percent(successes: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
        return 100.0 * successes / np.maximum(of, 1.0)

    total = counts.sum(axis=0)
    gsr_low, gsr_high = np.percentile(percent(drawn[:, 0], drawn[:, 1]), [2.5, 97.5])
    dr_low, dr_high = np.percentile(percent(drawn[:, 0], drawn[:, 2]), [2.5, 97.5])
    return Rates(
        gsr=float(percent(total[0], total[1])),
        gsr_interval=(float(gsr_low), float(gsr_high)),
        dr=float(percent(total[0], total[2])),
        dr_interval=(float(dr_low), float(dr_high)),
    )


def series_rates_of(series: Sequence[Sequence[RoundResult]]) -> SeriesRates:
    """The rates of each series (at least one, none empty), and how far they spread."""
    rates = [rates_of(rounds) for rounds in series]
    gsr, dr = tuple(r.gsr for r in rates), tuple(r.dr for r in rates)
    return SeriesRates(
        gsr=gsr,
        gsr_mean=statistics.fmean(gsr),
        gsr_std=statistics.stdev(gsr) if len(gsr) > 1 else None,
        dr=dr,
        dr_mean=statistics.fmean(dr),
        dr_std=statistics.stdev(dr) if len(dr) > 1 else None,
    )


def whereabouts_of(rounds: Sequence[RoundResult]) -> Mapping[str, Whereabouts]:
    """What became of the objects, by the end of their round; only ends that occurred, in the order of ROUND_ENDS."""
    by_end = {end: Whereabouts() for end in ROUND_ENDS}
    for result in rounds:
        by_end[result.end].add(result)
    return {end: found for end, found in by_end.items() if found.rounds}
