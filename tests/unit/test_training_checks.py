"""What is looked at while a network trains: simulated grasping, the best by it, TensorBoard curves."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception.dataset import DatasetWriter
from giga_perception.scene_query import GraspNetwork
from giga_perception.training import TrainingScenes, read_log, train
from giga_perception.training_batches import compact_scene
from giga_perception.training_checks import SimulatedValidation, TrainingResult
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.weights import load_model
from giga_sim import grasping_validation
from giga_sim.clutter_benchmark import RoundResult
from giga_sim.grasping_validation import GraspingValidation
from giga_sim.object_sets import ObjectSetError

with_event_files = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None, reason="tensorboardX, which writes event files, is not installed"
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scenes() -> TrainingScenes:
    compact = [compact_scene(box_scene(seed)) for seed in range(3)]
    return TrainingScenes(names=("a", "b", "c"), train=tuple(compact[:2]), validation=tuple(compact[2:]))


RECIPE = TrainingRecipe(steps=6, batch=1, occupancy_points=64, warm_up_steps=1, average=0.5)


class ScriptedCheck:
    """Rates as scripted, whatever the network."""

    def __init__(self, *rates: float) -> None:
        self.rates = list(rates)

    def __call__(self, network: GraspNetwork) -> Mapping[str, float]:
        assert network.has_grasps
        return {"pile_gsr": self.rates.pop(0), "pile_dr": 40.0}


def test_the_best_by_simulated_grasping_is_handed_on(scenes: TrainingScenes, tmp_path: Path) -> None:
    kept: list[TrainingResult] = []
    simulation = SimulatedValidation(ScriptedCheck(50.0, 80.0, 70.0), every=2, keep_best=kept.append)
    result = train(scenes, RECIPE, tmp_path, simulation=simulation)
    assert [best.steps for best in kept] == [2, 4]
    assert result.simulated == {"pile_gsr": 70.0, "pile_dr": 40.0}
    assert not torch.equal(kept[1].model.encoder.conv_in.weight, result.model.encoder.conv_in.weight)
    assert kept[1].figures is not None
    assert {line["step"]: line["simulated"]["pile_gsr"] for line in read_log(tmp_path) if "simulated" in line} == {
        2: 50.0,
        4: 80.0,
        6: 70.0,
    }


def test_an_interrupted_run_remembers_its_best(scenes: TrainingScenes, tmp_path: Path) -> None:
    kept: list[int] = []

    def simulation(*rates: float) -> SimulatedValidation:
        return SimulatedValidation(ScriptedCheck(*rates), every=2, keep_best=lambda best: kept.append(best.steps))

    train(scenes, RECIPE, tmp_path, simulation=simulation(80.0), stop_after=3)
    ended = train(scenes, RECIPE, tmp_path, simulation=simulation(70.0, 90.0))
    assert kept == [2, 6]
    # A finished run knows its rates: nothing is simulated again.
    assert train(scenes, RECIPE, tmp_path, simulation=simulation()).simulated == ended.simulated
    assert train(scenes, RECIPE, tmp_path).simulated == ended.simulated


def test_simulating_does_not_change_what_is_learnt(scenes: TrainingScenes, tmp_path: Path) -> None:
    simulation = SimulatedValidation(ScriptedCheck(1.0, 2.0, 3.0), every=2)
    with_it = train(scenes, RECIPE, tmp_path / "a", simulation=simulation).model.state_dict()
    without = train(scenes, RECIPE, tmp_path / "b").model.state_dict()
    assert all(torch.equal(value, without[name]) for name, value in with_it.items())


def test_the_same_tables_are_cleared_by_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[tuple[str, int]] = []

    def clear(world: object, detector: object, objects: object, settings: object, seed: int) -> RoundResult:
        seeds.append((settings.kind, seed))  # type: ignore[attr-defined]
        return RoundResult(seed, 5, 4, 3, 2, 0, 0, "two failures", ())

    monkeypatch.setattr(grasping_validation, "clear_one_table", clear)
    told: list[tuple[int, int]] = []
    check = GraspingValidation(2, "parametric", lambda done, total: told.append((done, total)))
    from giga_perception.network import Giga

    first = check(Giga().eval())
    assert first == pytest.approx({"pile_gsr": 75.0, "pile_dr": 60.0, "packed_gsr": 75.0, "packed_dr": 60.0})
    before = list(seeds)
    assert check(Giga().eval()) == first
    assert seeds == before * 2
    assert told[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(ObjectSetError):
        GraspingValidation(1, "no such folder")
    with pytest.raises(ValueError, match="at least 1"):
        GraspingValidation(0, "parametric")


@pytest.fixture(scope="module")
def box_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "boxes"
    writer = DatasetWriter(folder, {"generator": "boxes"})
    for seed in range(2):
        writer.write(box_scene(seed))
    writer.write(box_scene(9, split="val"))
    return folder


SHORT = ["--steps", "2", "--batch", "1", "--threads", "1", "--occupancy-points", "64", "--average", "0"]


@pytest.mark.timeout(300)
def test_giga_train_simulates_and_keeps_the_best(
    box_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = ["train", str(box_data), "--out", str(out), *SHORT, "--simulate-every", "1", "--simulate-rounds", "1"]
    assert giga(argv) == 0
    printed = capsys.readouterr().out
    assert printed.count("simulated grasping: pile_gsr") == 2
    _, card = load_model(out / "giga.best.safetensors")
    assert card["name"] == "giga.best"
    assert "packed_dr" in card["simulated"]
    assert "## Grasping simulated while it trained" in (out / "giga.md").read_text()
    assert giga(["train", str(box_data), "--model", "giga-geo", *SHORT, "--simulate-every", "1"]) == 2
    assert "predicts no grasps" in capsys.readouterr().err
    nowhere = ["--simulate-every", "1", "--simulate-objects", str(tmp_path / "nowhere")]
    assert giga(["train", str(box_data), "--out", str(tmp_path / "other"), *SHORT, *nowhere]) == 2
    assert "unknown object set" in capsys.readouterr().err


def scalars_of(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard would show of the event files, oldest first: each record is length, check, event, check."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = file.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            if event.HasField("session_log"):
                # TensorBoard then drops what it holds of that step and of later ones.
                for values in found.values():
                    for step in [step for step in values if step >= event.step]:
                        del values[step]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@with_event_files
def test_curves_can_be_read_back(box_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert giga(["train", str(box_data), "--out", str(out), *SHORT, "--tensorboard", "--validate-every", "1"]) == 0
    curves = scalars_of(out / "tensorboard")
    log = read_log(out)
    assert {int(line["step"]) for line in log} == {1, 2}
    for line in log:
        for name in ("total", "quality", "rotation", "width", "occupancy"):
            assert curves[f"loss/{name}"][line["step"]] == pytest.approx(line[name], rel=1e-5)
        assert curves["training/learning_rate"][line["step"]] == pytest.approx(line["learning_rate"], rel=1e-5)
        assert curves["validation/auc"][line["step"]] == pytest.approx(line["validation"]["auc"], rel=1e-5)


@with_event_files
def test_curves_of_a_killed_run_show_each_step_once(scenes: TrainingScenes, tmp_path: Path) -> None:
    from giga_perception.training_curves import TrainingCurves

    killed = TrainingCurves(tmp_path / "curves", 0)
    train(scenes, RECIPE, tmp_path / "run", report=killed.write, report_every=1, stop_after=5)
    killed.close()
    assert set(scalars_of(tmp_path / "curves")["loss/total"]) == {1, 2, 3, 4, 5}
    # The checkpoint was of step 3: the run goes on from there.
    resumed = TrainingCurves(tmp_path / "curves", 3)
    resumed.close()
    assert set(scalars_of(tmp_path / "curves")["loss/total"]) == {1, 2, 3}


def test_giga_train_says_what_curves_need(
    box_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from giga_perception import training_curves

    monkeypatch.setattr(training_curves, "can_write_curves", lambda: False)
    assert giga(["train", str(box_data), "--out", str(tmp_path / "a"), *SHORT, "--tensorboard"]) == 2
    assert "`pip install tensorboardX`" in capsys.readouterr().err
    assert giga(["train", str(box_data), "--out", str(tmp_path / "b"), *SHORT]) == 0
    assert not (tmp_path / "b" / "tensorboard").exists()
