"""`giga benchmark clutter`: rounds with scripted detectors, and the command as a user runs, kills and repeats it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView
from giga_perception.detection import GraspDetector
from giga_perception.detection_mode import MODES
from giga_perception.grasp import Grasp
from giga_sim.clutter_detector import detection_mode_of, detector_of
from giga_sim.clutter_result import default_label
from giga_sim.clutter_round import RoundResult, clear_one_table
from giga_sim.clutter_settings import ClutterSettings
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld

SETTINGS = ClutterSettings(None, "packed", "parametric", None, 2, 0.5, 0.5, 40, False)
SEED = 4
DOWN = Rotation.from_euler("x", 180.0, degrees=True)


@dataclass(frozen=True)
class EmptyReport:
    total_ms: float = 1.0


@dataclass(frozen=True)
class ScriptedDetection:
    grasps: tuple[Grasp, ...] = ()
    report: EmptyReport = EmptyReport()


class ScriptedDetector:
    """Gives what a script says to each look, and remembers what it was shown."""

    model_name = "scripted"

    def __init__(self, script: Callable[[int], Sequence[Grasp]] = lambda look: ()) -> None:
        self.views: list[DepthView] = []
        self._script = script

    def detect(self, views: Sequence[DepthView]) -> ScriptedDetection:
        self.views += views
        return ScriptedDetection(tuple(self._script(len(self.views) - 1)))


def in_the_air(x_m: float, quality: float = 0.9) -> Grasp:
    """A grasp far above everything: its trial closes on nothing."""
    return Grasp(RigidTransform.from_components([x_m, 0.15, 0.28], DOWN), 0.04, quality)


def carried_out(detector: ScriptedDetector, settings: ClutterSettings = SETTINGS) -> RoundResult:
    return clear_one_table(PhysicsWorld(), detector, ObjectSet.named("parametric"), settings, SEED)  # type: ignore[arg-type]


def test_a_refusal_ends_the_round_and_the_image_is_noisy_and_repeats() -> None:
    detectors = [ScriptedDetector(), ScriptedDetector()]
    results = [carried_out(detector) for detector in detectors]
    assert results[0] == results[1]
    assert (results[0].end, results[0].attempts, results[0].refusals) == ("refused", 0, 1)
    assert results[0].left == results[0].objects > 0
    assert results[0].pushed_out == 0
    first, second = (detector.views[0].depth_m for detector in detectors)
    np.testing.assert_array_equal(first, second)


def test_under_p2_a_refusal_is_answered_by_a_fresh_view_and_the_third_ends_the_round() -> None:
    # The second look finds something, which fails: that does not forgive the refusal before it.
    detector = ScriptedDetector(lambda look: [in_the_air(0.15)] if look == 1 else [])
    result = carried_out(detector, replace(SETTINGS, protocol="P2"))
    assert (result.end, result.attempts, result.refusals) == ("refused", 1, 3)
    assert len(result.detection_ms) == len(detector.views) == 4
    places_m = {tuple(view.T_camera_workspace.inv().translation.round(6)) for view in detector.views}
    assert len(places_m) == 4


def test_what_just_failed_is_tried_again_unless_it_is_to_be_avoided() -> None:
    repeats = carried_out(ScriptedDetector(lambda look: [in_the_air(0.15)]))
    assert (repeats.end, repeats.attempts) == ("two failures", 2)
    avoiding = replace(SETTINGS, avoids_failures=True)
    alone = carried_out(ScriptedDetector(lambda look: [in_the_air(0.15)]), avoiding)
    assert (alone.end, alone.attempts) == ("refused", 1)
    with_another = carried_out(ScriptedDetector(lambda look: [in_the_air(0.15), in_the_air(0.2, 0.6)]), avoiding)
    assert (with_another.end, with_another.attempts) == ("two failures", 2)


def test_the_policy_chooses_among_the_grasps(monkeypatch: pytest.MonkeyPatch) -> None:
    tried_x_m: list[float] = []

    def failing(world: object, hand: object, T_workspace_grasp: RigidTransform) -> object:
        from giga_sim.grasp_trial import TrialEnd, TrialOutcome

        tried_x_m.append(round(float(T_workspace_grasp.translation[0]), 6))
        return TrialOutcome(TrialEnd.CLOSED_ON_NOTHING)

    monkeypatch.setattr("giga_sim.clutter_round.try_for_benchmark", failing)
    low = Grasp(RigidTransform.from_components([0.1, 0.15, 0.1], DOWN), 0.04, 0.9)
    high = Grasp(RigidTransform.from_components([0.2, 0.15, 0.2], DOWN), 0.04, 0.6)
    for policy in ("best", "highest"):
        carried_out(ScriptedDetector(lambda look: [low, high]), replace(SETTINGS, policy=policy))
    assert tried_x_m == [0.1, 0.1, 0.2, 0.2]


def benchmark(*options: str) -> list[str]:
    return [sys.executable, "-m", "giga_bringup", "benchmark", "clutter", "--split", "all", *options]


def run_benchmark(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(benchmark(*options), capture_output=True, text=True, check=False)


def test_the_results_file_names_everything(tmp_path: Path, random_model: Path) -> None:
    results = tmp_path / "clutter.json"
    answer = run_benchmark(
        *("--model", str(random_model), "--scene", "packed", "--rounds", "1", "--count", "1", "--workers", "1"),
        *("--seed", "0", "7", "--json", str(results)),
    )
    assert answer.returncode == 0, answer.stderr
    assert "GSR" in answer.stdout
    assert "2/2 rounds" in answer.stdout
    report = json.loads(results.read_text())
    names = {"protocol", "model", "scene", "object_set", "split", "seeds", "threshold", "out_threshold", "commit"}
    names |= {"views", "policy", "avoids_failures", "detector_sha256", "machine"}
    assert names <= report.keys()
    assert (report["label"], report["mode"], report["first_seeds"]) == ("random plain", "plain", [0, 7])
    assert [result["seed"] for result in report["rounds"]] == [0, 7]
    assert report["rounds"][0]["end"] in ("cleared", "refused", "two failures", "pushed out", "attempts", "empty")
    assert len(report["gsr_percent_by_first_seed"]) == 2
    assert list(tmp_path.iterdir()) == [results], "what was kept until then is gone"


def test_an_interrupted_run_is_gone_on_with_and_ends_as_an_uninterrupted_one(
    tmp_path: Path, random_model: Path
) -> None:
    options = ("--model", str(random_model), "--scene", "packed", "--rounds", "40", "--count", "2", "--workers", "1")
    whole, resumed = tmp_path / "whole.json", tmp_path / "resumed.json"
    kept = tmp_path / "resumed.rounds.jsonl"
    assert run_benchmark(*options, "--json", str(whole)).returncode == 0

    # A shell lets what it runs in the background ignore Ctrl-C, and tests may run there.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = benchmark(*options, "--json", str(resumed))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, heard)
        while process.poll() is None and not (kept.is_file() and kept.read_bytes().count(b"\n") > 1):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert str(kept) in said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    over = kept.read_bytes().count(b"\n") - 1
    assert 1 <= over < 40

    other = run_benchmark(*options, "--threshold", "0.4", "--json", str(resumed))
    assert other.returncode == 2
    assert "threshold was 0.5 and is 0.4" in other.stderr

    again = run_benchmark(*options, "--json", str(resumed))
    assert again.returncode == 0, again.stderr
    assert f"going on after {over} of 40 rounds" in again.stdout
    assert not kept.exists()
    first, second = (
        [{**result, "detection_ms": len(result["detection_ms"])} for result in json.loads(file.read_text())["rounds"]]
        for file in (whole, resumed)
    )
    assert first == second


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "none.safetensors"], "none.safetensors"),
        (["--rounds", "0"], "at least 1"),
        (["--seed", "0", "50", "--rounds", "100"], "at least 100 apart"),
        (["--seed", "-1"], "negative"),
        (["--protocol", "P2", "--views", "side"], "P2 knows no 'side' views"),
        (["--threshold", "2"], "threshold is a probability"),
        (["--json", "no/such/folder/file.json"], "no/such/folder does not exist"),
    ],
)
def test_wrong_options_are_a_sentence(
    options: list[str], sentence: str, random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from giga_bringup.command_line import main as giga

    assert giga(["benchmark", "clutter", "--model", str(random_model), *options]) == 2
    assert sentence in capsys.readouterr().err


def test_levers_are_switched_in_the_mode_and_named_in_the_result() -> None:
    settings = replace(SETTINGS, mode="careful", levers_off=("refine",))
    assert detection_mode_of(settings) == replace(MODES["careful"], refine=False)
    plain = replace(SETTINGS, mode="plain", levers_on=("levels_table",))
    detector = detector_of(plain)
    assert isinstance(detector, GraspDetector)
    assert detector.levels_table
    assert detector.second_look is None
    assert default_label(plain, "giga") == "giga plain, with levels_table"
    with pytest.raises(ValueError, match="'magic' is nothing that a mode switches"):
        detector_of(replace(SETTINGS, levers_on=("magic",)))
