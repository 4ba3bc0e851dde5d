"""A training run's curves as TensorBoard event files, written while it trains; `tensorboard --logdir` shows them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from giga_perception.training import Progress

CURVES_FOLDER = "tensorboard"


def can_write_curves() -> bool:
    """Whether what writes event files is installed: tensorboardX, a small package; TensorBoard itself only reads."""
    return importlib.util.find_spec("tensorboardX") is not None


class TrainingCurves:
    """Writes the reports of a run into `folder`, one event file a process that trained it."""

    def __init__(self, folder: Path, steps_done: int) -> None:
        """steps_done: where the run goes on; what a killed process wrote beyond it, TensorBoard then leaves out.

        Raises ImportError without tensorboardX.
        """
        from tensorboardX import SummaryWriter

        # Files are named by the second they were begun in; the suffix keeps apart two of one second.
        self._writer = SummaryWriter(
            str(folder), purge_step=steps_done + 1 if steps_done else None, filename_suffix=f".step{steps_done}"
        )

    def write(self, progress: Progress) -> None:
        """Adds one report: losses, rate, speed, and the figures and simulated rates if there are any."""
        scalars = {f"loss/{name}": value for name, value in progress.losses.items()}
        scalars["training/learning_rate"] = progress.learning_rate
        scalars["training/steps_per_s"] = progress.steps_per_s
        if progress.figures is not None:
            scalars |= {f"validation/{name}": value for name, value in progress.figures.as_dict().items()}
        if progress.simulated is not None:
            scalars |= {f"simulated/{name}": value for name, value in progress.simulated.items()}
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, progress.step)
        self._writer.flush()

    def close(self) -> None:
        """Ends the event file."""
        self._writer.close()
