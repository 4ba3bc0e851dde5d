"""How successes and failures come to count the same, although few trials succeed.

Unbalanced, the network would be right to say "failure" nearly everywhere, and the thresholds of detection (made for
balanced labels) would let nothing through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from giga_perception.training_batches import CompactScene


@dataclass(frozen=True)
class LabelBalance:
    """What a use of a scene does to its labels.

    failure_share: share of the failures that is used, drawn anew each time. positive_weight, negative_weight: of a
    success and of a failure in the quality loss.
    """

    failure_share: float = 1.0
    positive_weight: float = 1.0
    negative_weight: float = 1.0


def label_balance(how: str, scenes: Sequence[CompactScene]) -> LabelBalance:
    """The balance of a data set, `how` being one of `training_recipe.BALANCES`.

    drop: as the paper, redundant failures are dropped until both kinds are equally many over the data set (nothing is
    dropped when failures are the fewer). Which ones is drawn anew with every use of a scene, by the seed of that use:
    each epoch is balanced, every scene is thinned by the same share, and over many epochs no label is lost. weigh: all
    are used, weighted by `balancing_weights`. none: all are used and count the same.
    """
    if how == "drop":
        positive, negative = _counts(scenes)
        return LabelBalance(failure_share=min(1.0, positive / negative) if positive and negative else 1.0)
    if how == "weigh":
        positive_weight, negative_weight = balancing_weights(scenes)
        return LabelBalance(positive_weight=positive_weight, negative_weight=negative_weight)
    if how == "none":
        return LabelBalance()
    raise ValueError(f"balance is {how!r}, should be 'drop', 'weigh' or 'none'")


def balancing_weights(scenes: Sequence[CompactScene]) -> tuple[float, float]:
    """Weights of a success and of a failure under which both kinds count the same and the mean weight is 1.

    (1, 1) when one kind is missing.
    """
    positive, negative = _counts(scenes)
    if positive == 0 or negative == 0:
        return 1.0, 1.0
    total = positive + negative
    return 0.5 * total / positive, 0.5 * total / negative


def _counts(scenes: Sequence[CompactScene]) -> tuple[int, int]:
    """Successes and failures of all scenes."""
    positive = sum(int(scene.successes.sum()) for scene in scenes)
    return positive, sum(len(scene.successes) for scene in scenes) - positive
