"""What came out of a demo's rounds: the figures, the lines that are printed, the JSON that is written."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Attempt:
    """One attempt to pick an object, as the executor reported it."""

    number: int
    success: bool
    outcome: int  # code of giga_msgs/action/ExecuteGrasp
    message: str
    quality: float
    width_m: float
    measured_width_m: float
    candidates: int
    detection_ms: float
    planning_ms: float


@dataclass(frozen=True)
class Round:
    """One scene, cleared as far as it went."""

    seed: int
    objects: tuple[str, ...]  # what stood there at the start
    attempts: tuple[Attempt, ...]
    reason: str  # why it ended: the constants of giga_msgs/action/ClearTable
    message: str

    @property
    def successes(self) -> int:
        return sum(attempt.success for attempt in self.attempts)


@dataclass(frozen=True)
class Summary:
    """All rounds of one demo."""

    scene: str
    model: str
    rounds: tuple[Round, ...]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(attempt for each in self.rounds for attempt in each.attempts)

    @property
    def objects(self) -> int:
        return sum(len(each.objects) for each in self.rounds)

    @property
    def successes(self) -> int:
        return sum(each.successes for each in self.rounds)

    @property
    def gsr(self) -> float | None:
        """Grasp success rate: successes / attempts; None without an attempt."""
        return self.successes / len(self.attempts) if self.attempts else None

    @property
    def dr(self) -> float | None:
        """Declutter rate: successes / objects that stood there at the start; None without an object."""
        return self.successes / self.objects if self.objects else None

    @property
    def planning_ms(self) -> float | None:
        """Mean wall time spent planning in an attempt."""
        return mean(attempt.planning_ms for attempt in self.attempts) if self.attempts else None


def attempt_line(attempt: Attempt) -> str:
    """An attempt, as it is printed when it has ended."""
    width_mm = attempt.measured_width_m * 1e3
    end = f"lifted, {width_mm:.0f} mm between the pads" if attempt.success else f"failed: {attempt.message}"
    return (
        f"  attempt {attempt.number} (quality {attempt.quality:.2f}, {attempt.candidates} candidates, "
        f"detection {attempt.detection_ms:.0f} ms, planning {attempt.planning_ms:.0f} ms): {end}"
    )


def round_line(each: Round) -> str:
    """A round, when it has ended."""
    # Why the last attempt failed stands in its own line already.
    explanation = f": {each.message}" if each.message and not each.attempts else ""
    return (
        f"  {each.successes} of {len(each.objects)} lifted in {len(each.attempts)} attempts; "
        f"ended by {each.reason.replace('_', ' ')}{explanation}"
    )


def summary_text(summary: Summary) -> str:
    """The figures at the end."""
    rounds, attempts = len(summary.rounds), len(summary.attempts)
    lifted = f"{summary.successes / rounds:.2f} of {summary.objects / rounds:.2f}" if rounds else "-"
    planning = f"{summary.planning_ms:.0f} ms an attempt" if summary.planning_ms is not None else "-"
    rows = [
        ("rounds", f"{rounds} ({summary.scene}, {summary.model})"),
        ("attempts", str(attempts)),
        ("successes", str(summary.successes)),
        ("grasp success rate", _rate(summary.successes, attempts)),
        ("declutter rate", _rate(summary.successes, summary.objects)),
        ("lifted a round", lifted),
        ("planning", planning),
    ]
    return "\n".join(f"  {name:<20}{value}" for name, value in rows)


def write_json(path: Path, summary: Summary) -> None:
    """Write the figures, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(as_json(summary), indent=2) + "\n")
    temporary.replace(path)


def as_json(summary: Summary) -> dict[str, Any]:
    """The figures as they are written: rates as fractions, None where nothing was there to count."""
    return {
        "format": "giga demo",
        "format_version": FORMAT_VERSION,
        "scene": summary.scene,
        "model": summary.model,
        "seeds": [each.seed for each in summary.rounds],
        "objects": summary.objects,
        "attempts": len(summary.attempts),
        "successes": summary.successes,
        "gsr": summary.gsr,
        "gsr_interval": wilson_interval(summary.successes, len(summary.attempts)),
        "dr": summary.dr,
        "dr_interval": wilson_interval(summary.successes, summary.objects),
        "planning_ms": summary.planning_ms,
        "rounds": [_round_as_json(each) for each in summary.rounds],
    }


def _round_as_json(each: Round) -> dict[str, Any]:
    attempts = each.attempts
    return {
        "seed": each.seed,
        "objects": len(each.objects),
        "object_names": list(each.objects),
        "attempts": len(attempts),
        "successes": each.successes,
        "planning_ms": mean(attempt.planning_ms for attempt in attempts) if attempts else None,
        "reason": each.reason,
        "message": each.message,
        "attempt_list": [vars(attempt) for attempt in attempts],
    }


def _rate(successes: int, count: int) -> str:
    interval = wilson_interval(successes, count)
    if interval is None:
        return "-"
    return f"{successes / count:.1%}  (95 % interval {interval[0]:.1%} to {interval[1]:.1%})"


def wilson_interval(successes: int, count: int) -> list[float] | None:
    """95 % score interval of a proportion (Wilson 1927); None when nothing was counted."""
    if count == 0:
        return None
    z = 1.959964
    share = successes / count
    scale = 1.0 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return [max(0.0, centre - half), min(1.0, centre + half)]
