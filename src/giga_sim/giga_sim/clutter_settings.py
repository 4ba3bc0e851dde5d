"""What a clutter benchmark measures: scenes, objects, detector, protocol and observation. No round depends on more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from giga_sim.object_sets import Split
from giga_sim.scenes import SceneKind

Protocol = Literal["P1", "P2"]
Views = Literal["side", "six", "random"]
PROTOCOLS: tuple[Protocol, ...] = ("P1", "P2")

# What may be looked at under each protocol; the first is what the protocol itself says.
VIEWS_OF_PROTOCOL: dict[Protocol, tuple[Views, ...]] = {"P1": ("side", "six"), "P2": ("random", "six")}

# The refusal that ends a round. P1 knows no second look. P2 answers a refusal with a fresh view; we take "up to three
# refusals" as three in a whole round, wherever they fall: the third ends it.
REFUSALS_THAT_END: dict[Protocol, int] = {"P1": 1, "P2": 3}

MAX_FAILURES_IN_A_ROW = 2
# A detector that keeps succeeding ends by itself; one that pushes things about must end too.
MAX_ATTEMPTS_PER_OBJECT = 4


@dataclass(frozen=True)
class ClutterSettings:
    """What a benchmark measures; every field stands in the results file.

    model: None means the one that `giga_perception.weights.model_path` names. split: None means all objects.
    protocol: P1 is the paper's, P2 that of later work. views: one of VIEWS_OF_PROTOCOL; None means its first.
    policy: which grasp is tried, a name of `giga_perception.selection_policy` ("highest" is SHAF).
    avoids_failures: a grasp like one that failed since the last success is passed over
    (`giga_perception.failed_grasps`).
    levers_on, levers_off: what is switched on or off in the mode, names of `giga_perception.detection_mode.LEVERS`.
    Raises ValueError, with a sentence, for views that the protocol does not know.
    """

    model: Path | None
    kind: SceneKind
    object_set: str
    split: Split | None
    object_count: int
    threshold: float
    out_threshold: float
    resolution: int
    best_forced: bool
    mode: str = "auto"
    averaging: str | None = None
    protocol: Protocol = "P1"
    views: Views | None = None
    policy: str = "best"
    avoids_failures: bool = False
    levers_on: tuple[str, ...] = ()
    levers_off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = VIEWS_OF_PROTOCOL[self.protocol]
        if self.views is not None and self.views not in known:
            raise ValueError(
                f"protocol {self.protocol} knows no {self.views!r} views: say {' or '.join(known)}, "
                "or choose the other protocol"
            )

    @property
    def views_taken(self) -> Views:
        """How the table is looked at."""
        return self.views or VIEWS_OF_PROTOCOL[self.protocol][0]
