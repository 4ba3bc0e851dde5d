"""Clearing cluttered tables with the free hand, by the paper's protocol (P1) or that of later work (P2).

Rounds run in several processes at once (`clutter_round`); a round depends on its seed and the settings alone.
GSR = successes / attempts; DR = successes / objects present at the start.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence

from giga_sim.clutter_detector import detector_of
from giga_sim.clutter_rates import rates_of
from giga_sim.clutter_round import RoundResult, clear_one_table
from giga_sim.clutter_settings import ClutterSettings
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.worker_process import begin_worker


def run_rounds(settings: ClutterSettings, seeds: Sequence[int], workers: int) -> Iterator[RoundResult]:
    """Carry out one round a seed, over at most so many processes; results come as they are ready."""
    if not seeds:
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(seeds)), initializer=_start_worker, initargs=(settings,)) as pool:
        yield from pool.imap_unordered(_round_in_worker, seeds)


def objects_of(settings: ClutterSettings) -> ObjectSet:
    """The objects that scenes are made of. Raises ObjectSetError when there are none."""
    objects = ObjectSet.named(settings.object_set)
    return objects if settings.split is None else objects.split(settings.split)


class RunningEstimate:
    """Says every few seconds how far a benchmark is, what the rates are so far, and how long the rest will take."""

    def __init__(
        self, total: int, done_before: int, interval_s: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """total: rounds in all. done_before: rounds that an earlier run left. interval_s: between two lines."""
        self._total = total
        self._done_before = done_before
        self._interval_s = interval_s
        self._clock = clock
        self._start_s = clock()
        self._told_s = self._start_s

    def line(self, rounds: Sequence[RoundResult]) -> str | None:
        """The line to print now that these rounds are over (this run's and those of earlier ones); None: too soon."""
        now_s = self._clock()
        done_now = len(rounds) - self._done_before
        if done_now < 1 or (now_s - self._told_s < self._interval_s and len(rounds) < self._total):
            return None
        self._told_s = now_s
        rates = rates_of(rounds)
        left_s = (now_s - self._start_s) / done_now * (self._total - len(rounds))
        (gsr_low, gsr_high), (dr_low, dr_high) = rates.gsr_interval, rates.dr_interval
        return (
            f"{len(rounds)}/{self._total} rounds: GSR {rates.gsr:.1f} % ({gsr_low:.1f} to {gsr_high:.1f}), "
            f"DR {rates.dr:.1f} % ({dr_low:.1f} to {dr_high:.1f}); {_duration(left_s)} left"
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


_round_in_worker_state: dict[str, Callable[[int], RoundResult]] = {}


def _start_worker(settings: ClutterSettings) -> None:
    import torch

    begin_worker()
    torch.set_num_threads(1)
    objects, detector, world = objects_of(settings), detector_of(settings), PhysicsWorld()
    _round_in_worker_state["run"] = lambda seed: clear_one_table(world, detector, objects, settings, seed)


def _round_in_worker(seed: int) -> RoundResult:
    return _round_in_worker_state["run"](seed)
