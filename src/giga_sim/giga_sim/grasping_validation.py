"""Validation by grasping: what a network in training clears of a few simulated tables, always the same ones.

By the clutter benchmark's protocol, in this process, with validation objects: to choose a checkpoint by. For a figure
to quote, take the benchmark itself and test objects.
"""

from __future__ import annotations

from collections.abc import Callable

from giga_perception.detection import GraspDetector
from giga_perception.scene_query import GraspNetwork
from giga_sim.clutter_benchmark import ClutterSettings, clear_one_table, rates_of
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import SCENE_KINDS

# Far from the seeds that benchmarks begin with.
FIRST_SEED = 4_000_000
OBJECTS_A_TABLE = 5
THRESHOLD = 0.5


class GraspingValidation:
    """Clears the same tables with whatever network it is called with; the answer is rates in per cent by name."""

    def __init__(self, rounds: int, object_set: str, report: Callable[[int, int], None] | None = None) -> None:
        """rounds: tables of each kind of scene. object_set: as `ObjectSet.named` takes it, `{scene}` standing for the
        kind. report: is told how many tables are done, and of how many.

        Raises ObjectSetError when the set has no validation objects, ValueError for no round at all.
        """
        if rounds < 1:
            raise ValueError(f"grasping cannot be simulated in {rounds} rounds: at least 1 is needed")
        self._rounds = rounds
        self._report = report
        self._sets = {kind: ObjectSet.named(object_set.replace("{scene}", kind)).split("val") for kind in SCENE_KINDS}
        self._settings = {
            kind: ClutterSettings(
                model=None,
                kind=kind,
                object_set=object_set,
                split="val",
                object_count=OBJECTS_A_TABLE,
                threshold=THRESHOLD,
                out_threshold=0.5,
                resolution=40,
                best_forced=False,
                mode="plain",
            )
            for kind in SCENE_KINDS
        }

    def __call__(self, network: GraspNetwork) -> dict[str, float]:
        """`KIND_gsr` and `KIND_dr` of each kind of scene. Raises ValueError for a network that predicts no grasps."""
        detector = GraspDetector(network, model_name="in training", threshold=THRESHOLD)
        world = PhysicsWorld()
        rates: dict[str, float] = {}
        done = 0
        try:
            for kind, settings in self._settings.items():
                rounds = []
                for seed in range(FIRST_SEED, FIRST_SEED + self._rounds):
                    rounds.append(clear_one_table(world, detector, self._sets[kind], settings, seed))
                    done += 1
                    if self._report is not None:
                        self._report(done, self._rounds * len(self._settings))
                of_kind = rates_of(rounds)
                rates |= {f"{kind}_gsr": of_kind.gsr, f"{kind}_dr": of_kind.dr}
        finally:
            world.close()
        return rates
