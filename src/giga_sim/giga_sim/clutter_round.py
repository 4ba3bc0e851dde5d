"""One round of the clutter benchmark: look, try the grasp that the policy prefers, take away what was lifted, again.

It ends when the table is clear, when the detector refuses as often as the protocol bears, or when two attempts in a
row fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from giga_perception.failed_grasps import FailedGrasps, not_failed
from giga_perception.grasp import T_workspace_grasp_origin_from_tcp
from giga_perception.selection_policy import ordered, policy_named
from giga_sim.clutter_detector import ClutterDetector
from giga_sim.clutter_settings import (
    MAX_ATTEMPTS_PER_OBJECT,
    MAX_FAILURES_IN_A_ROW,
    REFUSALS_THAT_END,
    ClutterSettings,
)
from giga_sim.clutter_views import observe
from giga_sim.grasp_trial import try_for_benchmark
from giga_sim.gripper_hand import PARKED, GripperHand
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import make_scene

ROUND_ENDS = ("cleared", "pushed out", "refused", "two failures", "attempts", "empty")


@dataclass(frozen=True)
class RoundResult:
    """One round: how it went and how it ended.

    objects: at the start; each was lifted (successes), left, or pushed out of the cube (pushed_out).
    refusals: how often the detector gave no grasp to try. end: one of ROUND_ENDS. "pushed out" is a table that is clear
    although not everything was lifted; "attempts" one on which MAX_ATTEMPTS_PER_OBJECT were not enough.
    """

    seed: int
    objects: int
    attempts: int
    successes: int
    left: int
    pushed_out: int
    refusals: int
    end: str
    detection_ms: tuple[float, ...]


def clear_one_table(
    world: PhysicsWorld, detector: ClutterDetector, objects: ObjectSet, settings: ClutterSettings, seed: int
) -> RoundResult:
    """Carry out the round of a seed."""
    kind_index = 0 if settings.kind == "pile" else 1
    rng = np.random.default_rng([seed, kind_index])
    # With a generator of its own, so that the first image of a round is the same under every policy.
    policy = policy_named(settings.policy, np.random.default_rng([seed, kind_index, 1]))
    world.reset()
    world.add_table()
    make_scene(world, settings.kind, objects, settings.object_count, rng)
    hand = GripperHand(world)
    present = len(world.objects)
    attempts = successes = failures_in_a_row = refusals = 0
    failed = FailedGrasps()
    detection_ms: list[float] = []
    end = "cleared" if present else "empty"
    while world.objects:
        hand.teleport(PARKED)
        detection = detector.detect(observe(world, settings, rng))
        detection_ms.append(detection.report.total_ms)
        to_try = ordered(not_failed(detection.grasps, failed), policy)
        if not to_try:
            refusals += 1
            if refusals >= REFUSALS_THAT_END[settings.protocol]:
                end = "refused"
                break
            continue
        attempts += 1
        T_workspace_grasp = T_workspace_grasp_origin_from_tcp(to_try[0].T_workspace_tcp)
        outcome = try_for_benchmark(world, hand, T_workspace_grasp)
        hand.teleport(PARKED)
        if outcome.body_id is not None and outcome.body_id in world.objects:
            world.remove(outcome.body_id)
            successes += 1
            failures_in_a_row = 0
            failed = failed.emptied()
        else:
            failures_in_a_row += 1
            if settings.avoids_failures:
                failed = failed.with_failure(to_try[0])
        world.settle()
        if failures_in_a_row >= MAX_FAILURES_IN_A_ROW and world.objects:
            end = "two failures"
            break
        if attempts >= MAX_ATTEMPTS_PER_OBJECT * present and world.objects:
            end = "attempts"
            break
    left = len(world.objects)
    pushed_out = present - successes - left
    if end == "cleared" and pushed_out:
        end = "pushed out"
    return RoundResult(seed, present, attempts, successes, left, pushed_out, refusals, end, tuple(detection_ms))
