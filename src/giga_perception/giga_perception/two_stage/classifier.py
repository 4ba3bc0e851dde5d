"""The second stage: a small network that looks at the points around a hand and says how likely it holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from giga_perception.two_stage.local_grid import CELLS, FEATURE_COUNT, GRID_CHANNELS, FloatArray

_AT_ONCE = 256


class CandidateClassifier(nn.Module):
    """Local grids and features to logits of success; 38,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(GRID_CHANNELS, 24, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(24, 32, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, kernel_size=3, padding=1)
        self.hidden = nn.Linear(32 * (CELLS // 8) ** 2 + FEATURE_COUNT, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, grids: Tensor, features: Tensor) -> Tensor:
        """[N] logits of grids [N, GRID_CHANNELS, CELLS, CELLS] and features [N, FEATURE_COUNT]."""
        seen = functional.max_pool2d(functional.relu(self.conv1(grids)), 2)
        seen = functional.max_pool2d(functional.relu(self.conv2(seen)), 2)
        seen = functional.max_pool2d(functional.relu(self.conv3(seen)), 2).flatten(1)
        seen = functional.dropout(torch.cat([seen, features], dim=1), 0.1, self.training)
        logits: Tensor = self.out(functional.relu(self.hidden(seen))).squeeze(1)
        return logits


@torch.no_grad()
def hold_probability(classifier: CandidateClassifier, grids: FloatArray, features: FloatArray) -> FloatArray:
    """[N] probability that each hand holds what is between its fingers; the classifier must be in evaluation mode."""
    parts = zip(torch.from_numpy(grids).split(_AT_ONCE), torch.from_numpy(features).split(_AT_ONCE), strict=True)
    probabilities: FloatArray = torch.cat([classifier(*part).sigmoid() for part in parts]).numpy()
    return probabilities
