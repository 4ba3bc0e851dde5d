"""What decides the weights of a training run besides its scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.model_kinds import GIGA, MODEL_KINDS
from giga_perception.scene_views import VIEW_CHOICES, ViewChoice

BALANCES = ("drop", "weigh", "none")
"""What is done about failures being many and successes few: see `training_balance.label_balance`."""


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything but the scenes that decides the weights; by default as in the paper where the paper says.

    model: the kind of network, a name of MODEL_KINDS. steps: optimiser steps of `batch` scenes each. grasps: labelled
    points that one encoding of a scene supervises, at most (the paper: 1). balance: one of BALANCES. schedule: "cosine"
    (linear warm-up, then a cosine to a hundredth of the rate) or "constant". gradient_limit: longest gradient, 0 for
    none. average: decay of the moving average of the weights that is kept as the result, 0 for none. precision: of the
    convolutions (GIGA's U-Net, all of VGN), "float32" or "bfloat16". views: which stored views of a scene a sample
    sees, see `scene_views.draw_views`; views_a_sample: how many are fused for "several".
    """

    steps: int
    batch: int = 32
    learning_rate: float = 2e-4
    schedule: str = "cosine"
    warm_up_steps: int = 100
    weight_decay: float = 0.0
    gradient_limit: float = 1.0
    grasps: int = 64
    balance: str = "drop"
    occupancy_points: int = 1024
    augmentation: str = "mirror"
    views: ViewChoice = "side"
    views_a_sample: int = 6
    average: float = 0.999
    precision: str = "float32"
    seed: int = 0
    model: str = GIGA.name

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.grasps < 1 or self.occupancy_points < 2:
            raise ValueError("steps, batch and grasps must be at least 1, occupancy_points at least 2")
        if self.model not in MODEL_KINDS:
            raise ValueError(f"model is {self.model!r}, should be one of {', '.join(MODEL_KINDS)}")
        if self.balance not in BALANCES:
            raise ValueError(f"balance is {self.balance!r}, should be one of {', '.join(BALANCES)}")
        if self.gradient_limit < 0:
            raise ValueError(f"gradient_limit is {self.gradient_limit}, should be positive, or 0 for none")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule is {self.schedule!r}, should be 'cosine' or 'constant'")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision is {self.precision!r}, should be 'float32' or 'bfloat16'")
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(f"augmentation is {self.augmentation!r}, should be one of {sorted(AUGMENTATIONS)}")

        if self.views not in VIEW_CHOICES:
            raise ValueError(f"views is {self.views!r}, should be one of {', '.join(VIEW_CHOICES)}")
        if self.views_a_sample < 1:
            raise ValueError(f"views_a_sample is {self.views_a_sample}, should be at least 1")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warm_up_steps))
        if self.schedule == "constant":
            return self.learning_rate * warm
        floor = 0.01
        progress = min(1.0, step / self.steps)
        return self.learning_rate * warm * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def quickest_precision(device: str = "cpu") -> str:
    """The precision to train in on this machine: bfloat16 where the device computes in it, else float32."""
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
