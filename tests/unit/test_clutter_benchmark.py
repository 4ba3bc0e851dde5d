"""The clutter benchmark's bookkeeping, and one round with a scripted detector."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from giga_perception.camera import DepthView
from giga_sim.clutter_benchmark import ClutterSettings, RoundResult, clear_one_table, rates_of
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld

SETTINGS = ClutterSettings(None, "packed", "parametric", None, 2, 0.5, 0.5, 40, False)


@dataclass(frozen=True)
class EmptyReport:
    total_ms: float = 1.0


@dataclass(frozen=True)
class NoGrasp:
    grasps: tuple[()] = ()
    report: EmptyReport = EmptyReport()


class RefusingDetector:
    def __init__(self) -> None:
        self.views: list[DepthView] = []

    def detect(self, views: list[DepthView]) -> NoGrasp:
        self.views += views
        return NoGrasp()


def test_rates_count_attempts_and_objects() -> None:
    rounds = [RoundResult(0, 5, 5, 4, 1, "two failures", ()), RoundResult(1, 3, 3, 2, 0, "pushed out", ())]
    rates = rates_of(rounds)
    assert rates.gsr == pytest.approx(75.0)
    assert rates.dr == pytest.approx(75.0)
    assert rates.gsr_interval[0] <= rates.gsr <= rates.gsr_interval[1]


def test_no_attempt_at_all_is_a_rate_of_zero() -> None:
    assert rates_of([RoundResult(0, 5, 0, 0, 5, "refused", ())]).gsr == 0.0


def test_a_refusal_ends_the_round_and_the_image_is_noisy_and_repeats() -> None:
    world, objects = PhysicsWorld(), ObjectSet.named("parametric")
    detectors = [RefusingDetector(), RefusingDetector()]
    results = [clear_one_table(world, detector, objects, SETTINGS, seed=4) for detector in detectors]  # type: ignore[arg-type]
    assert results[0] == results[1]
    assert results[0].end == "refused"
    assert results[0].attempts == 0
    assert results[0].left == results[0].objects > 0
    first, second = (detector.views[0].depth_m for detector in detectors)
    np.testing.assert_array_equal(first, second)


def test_the_results_file_names_everything(tmp_path: Path, random_model: Path) -> None:
    results = tmp_path / "clutter.json"
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "giga_bringup", "benchmark", "clutter", "--model", str(random_model)),
            *("--scene", "packed", "--split", "all", "--rounds", "1", "--count", "1", "--workers", "1"),
            *("--json", str(results)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "GSR" in answer.stdout
    report = json.loads(results.read_text())
    names = {"protocol", "model", "scene", "object_set", "split", "seeds", "threshold", "out_threshold", "commit"}
    assert names <= report.keys()
    assert report["rounds"][0]["end"] in ("cleared", "refused", "two failures", "pushed out", "attempts", "empty")


def test_a_missing_model_is_a_sentence(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "giga_bringup", "benchmark", "clutter", "--model", str(tmp_path / "none.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "none.safetensors" in answer.stderr
    assert "Traceback" not in answer.stderr
