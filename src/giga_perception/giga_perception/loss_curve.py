"""A picture of a training run: the terms of the objective, the figures on held-out scenes, the simulated rates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_TERMS = ("quality", "rotation", "width", "occupancy", "total")
_FIGURES = ("auc", "balanced_accuracy", "balanced_bce", "recall", "precision", "occupancy_iou")


def write_loss_curve(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws the log of a run (`training.read_log`) as PNG; written under a temporary name and renamed."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    # A network without a head has no line for it.
    for term in (term for term in _TERMS if all(term in line for line in lines)):
        left.plot([line["step"] for line in lines], [line[term] for line in lines], label=term)
    left.set_yscale("log")
    left.set_title("training loss")
    validated = [line for line in lines if "validation" in line]
    for name in (name for name in _FIGURES if all(name in line["validation"] for line in validated)):
        values = [line["validation"][name] for line in validated]
        right.plot([line["step"] for line in validated], values, marker=".", label=name)
    simulated = [line for line in lines if "simulated" in line]
    for name in simulated[-1]["simulated"] if simulated else ():
        shares = [line["simulated"][name] / 100.0 for line in simulated]
        right.plot([line["step"] for line in simulated], shares, marker="s", linestyle="--", label=f"simulated {name}")
    right.set_ylim(0.0, 1.0)
    right.set_title("held-out scenes")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=110)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
