"""The result of a clutter benchmark: the document that is stored, and the lines that are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from giga_perception.weights import SHIPPED_MODEL, model_path
from giga_sim.clutter_detector import mode_of
from giga_sim.clutter_rates import rates_of, series_rates_of, whereabouts_of
from giga_sim.clutter_round import RoundResult
from giga_sim.clutter_settings import ClutterSettings


def result_document(
    settings: ClutterSettings, label: str, fingerprint: str, series: Sequence[Sequence[RoundResult]]
) -> dict[str, Any]:
    """What the results file says (commit and machine are added where it is written).

    label: what tables call the detector. fingerprint: of its files (`clutter_detector.fingerprint_of`).
    series: the rounds of each first seed, as many of each, in the order of their seeds.
    """
    rounds = [result for one in series for result in one]
    rates, by_seed = rates_of(rounds), series_rates_of(series)
    where = whereabouts_of(rounds)
    model = model_path(settings.model)
    return {
        "protocol": settings.protocol,
        "label": label,
        "model": "shipped" if model == SHIPPED_MODEL else model.name,
        "detector_sha256": fingerprint,
        "scene": settings.kind,
        "object_set": "/".join(Path(settings.object_set).parts[-3:]),
        "split": settings.split or "all",
        "object_count": settings.object_count,
        "views": settings.views_taken,
        "policy": settings.policy,
        "avoids_failures": settings.avoids_failures,
        "seeds": [rounds[0].seed, rounds[-1].seed],
        "first_seeds": [one[0].seed for one in series],
        "rounds_per_first_seed": len(series[0]),
        "threshold": settings.threshold,
        "out_threshold": settings.out_threshold,
        "best_forced": settings.best_forced,
        "resolution": settings.resolution,
        "mode": mode_of(settings),
        "averaging": settings.averaging,
        "levers_on": list(settings.levers_on),
        "levers_off": list(settings.levers_off),
        "gsr_percent": rates.gsr,
        "gsr_interval_percent": rates.gsr_interval,
        "gsr_percent_by_first_seed": by_seed.gsr,
        "gsr_mean_percent": by_seed.gsr_mean,
        "gsr_std_percent": by_seed.gsr_std,
        "dr_percent": rates.dr,
        "dr_interval_percent": rates.dr_interval,
        "dr_percent_by_first_seed": by_seed.dr,
        "dr_mean_percent": by_seed.dr_mean,
        "dr_std_percent": by_seed.dr_std,
        "ends": {end: found.rounds for end, found in where.items()},
        "objects_by_end": {end: asdict(found) for end, found in where.items()},
        "objects": sum(result.objects for result in rounds),
        "attempts": sum(result.attempts for result in rounds),
        "successes": sum(result.successes for result in rounds),
        "left": sum(result.left for result in rounds),
        "pushed_out": sum(result.pushed_out for result in rounds),
        "refusals": sum(result.refusals for result in rounds),
        "median_detection_ms": float(np.median([ms for result in rounds for ms in result.detection_ms] or [0.0])),
        "rounds": [asdict(result) for result in rounds],
    }


def result_lines(document: Mapping[str, Any]) -> list[str]:
    """A result document, for people."""
    rounds, first_seeds = document["rounds_per_first_seed"], document["first_seeds"]
    lines = [
        f"{document['protocol']}, {document['scene']}, {document['object_set']} ({document['split']}), "
        f"{rounds} rounds of {document['object_count']} from seed {', '.join(map(str, first_seeds))}",
        f"  {document['label']}: views {document['views']}, policy {document['policy']}"
        + (", passing over what just failed" if document["avoids_failures"] else ""),
    ]
    for name in ("gsr", "dr"):
        low, high = document[f"{name}_interval_percent"]
        line = f"  {name.upper():3} {document[f'{name}_percent']:5.1f} %  ({low:.1f} to {high:.1f})"
        if len(first_seeds) > 1:
            each = ", ".join(f"{percent:.1f}" for percent in document[f"{name}_percent_by_first_seed"])
            line += f"; over seeds {document[f'{name}_mean_percent']:.1f} +- {document[f'{name}_std_percent']:.1f}"
            line += f" ({each})"
        lines.append(line)
    lines.append(f"  {'rounds ended by':16} {'rounds':>7} {'objects':>8} {'lifted':>7} {'left':>6} {'pushed out':>11}")
    totals = {"rounds": rounds * len(first_seeds), "objects": document["objects"], "lifted": document["successes"]}
    totals |= {"left": document["left"], "pushed_out": document["pushed_out"]}
    for end, found in [*document["objects_by_end"].items(), ("all", totals)]:
        lines.append(
            f"  {end:16} {found['rounds']:7} {found['objects']:8} {found['lifted']:7} {found['left']:6} "
            f"{found['pushed_out']:11}"
        )
    lines.append(f"  median detection {document['median_detection_ms']:.0f} ms")
    return lines


def default_label(settings: ClutterSettings, model_name: str) -> str:
    """What tables call a detector that nobody named: its model, its mode, and what else is out of the ordinary."""
    words = [f"{model_name} {mode_of(settings)}"]
    if settings.views_taken == "six":
        words.append("six views")
    if settings.resolution != 40:
        words.append(f"{settings.resolution} centres a side")
    if settings.policy != "best":
        words.append(f"{settings.policy} first")
    if settings.avoids_failures:
        words.append("no repeats")
    words += [f"with {lever}" for lever in settings.levers_on] + [f"without {lever}" for lever in settings.levers_off]
    if settings.averaging is not None:
        words.append(f"averaging {settings.averaging}")
    return ", ".join(words)
