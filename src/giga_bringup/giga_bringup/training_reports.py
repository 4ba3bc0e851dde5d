"""What `giga train` tells while it trains: on the terminal, and as TensorBoard curves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError
from giga_perception.model_kinds import MODEL_KINDS

if TYPE_CHECKING:
    from types import TracebackType

    from giga_perception.training import Progress
    from giga_perception.training_curves import TrainingCurves
    from giga_perception.training_processes import TrainingProcesses
    from giga_perception.training_recipe import TrainingRecipe
    from giga_perception.training_scenes import SceneSelection


def announce(
    selection: SceneSelection, recipe: TrainingRecipe, out: Path, steps_done: int, processes: TrainingProcesses
) -> None:
    """What is about to be trained, on what and where."""
    scenes = selection.scenes
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(selection.kinds.items()))
    share = selection.successes / max(1, selection.labelled_points)
    print(f"{len(scenes.train)} scenes to train on, {len(scenes.validation)} to validate ({kinds})")
    print(f"{selection.labelled_points} labelled points, {100 * share:.1f} % successes")
    if not selection.objects_held_out:
        print("note: validation scenes hold objects that training sees too")
    going_on = f", going on after step {steps_done}" if steps_done else ""
    title = MODEL_KINDS[recipe.model].title
    shared = f" shared by {processes.count} processes" if processes.count > 1 else ""
    print(
        f"{title}: {recipe.steps} steps of {recipe.batch} scenes{shared}, {recipe.precision}; run in {out}{going_on}",
        flush=True,
    )


def show_reading(done: int, total: int) -> None:
    """How many scenes are read, every now and then."""
    if done % 200 == 0 or done == total:
        print(f"\rreading scenes: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def show_simulating(done: int, total: int) -> None:
    """How many simulated tables are cleared."""
    print(f"\rsimulating: {done}/{total} tables", end="\n" if done == total else "", file=sys.stderr, flush=True)


class RunReports:
    """Tells of a run while it trains: on the terminal, and as TensorBoard curves where they can be written."""

    def __init__(self, out: Path, steps_done: int, *, curves_wanted: bool) -> None:
        """steps_done: where the run goes on. Raises UserError when curves are wanted and cannot be written."""
        from giga_perception.training_curves import CURVES_FOLDER, TrainingCurves, can_write_curves

        self._curves: TrainingCurves | None = None
        if can_write_curves():
            self._curves = TrainingCurves(out / CURVES_FOLDER, steps_done)
        elif curves_wanted:
            raise UserError(
                "TensorBoard curves need tensorboardX, which is not installed: `pip install tensorboardX`, or leave "
                "--tensorboard out (loss.png and log.jsonl are always written)"
            )

    def __enter__(self) -> Callable[[Progress], None]:
        return self._tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._curves is not None:
            self._curves.close()

    def _tell(self, progress: Progress) -> None:
        _show_progress(progress)
        if self._curves is not None:
            self._curves.write(progress)


def _show_progress(progress: Progress) -> None:
    losses = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    print(
        f"step {progress.step}/{progress.steps}  {losses}  {progress.steps_per_s:.2f} it/s  "
        f"{progress.remaining_s / 60.0:.1f} min left",
        flush=True,
    )
    if progress.figures is not None:
        print(f"  validation: {_in_words(progress.figures.as_dict())}", flush=True)
    if progress.simulated is not None:
        rates = "  ".join(f"{name} {value:.1f} %" for name, value in progress.simulated.items())
        print(f"  simulated grasping: {rates}", flush=True)


_FIGURES = (
    ("loss", "loss {:.3f}", 1.0),
    ("balanced_bce", "bce {:.3f}", 1.0),
    ("auc", "auc {:.3f}", 1.0),
    ("precision", "precision {:.2f}", 1.0),
    ("recall", "recall {:.2f}", 1.0),
    ("rotation_error_deg", "rotation {:.0f} deg", 1.0),
    ("width_error_m", "width {:.1f} mm", 1000.0),
    ("occupancy_iou", "occupancy IoU {:.3f}", 1.0),
)


def _in_words(figures: dict[str, float]) -> str:
    """The figures that the network has, in one line."""
    return "  ".join(text.format(scale * figures[key]) for key, text, scale in _FIGURES if key in figures)
