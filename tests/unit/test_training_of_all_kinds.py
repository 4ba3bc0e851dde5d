"""Every model of the family is trained end to end: its own losses, figures, interruption, file and card."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception.dataset import DatasetWriter
from giga_perception.model_family import new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.training import CHECKPOINT_FILE, TrainingScenes, read_log, train
from giga_perception.training_batches import compact_scene
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError
from giga_perception.weights import load_model, save_model

GRASP_TERMS = {"quality", "rotation", "width"}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scenes() -> TrainingScenes:
    compact = [compact_scene(box_scene(seed)) for seed in range(3)]
    return TrainingScenes(names=("a", "b", "c"), train=tuple(compact[:2]), validation=tuple(compact[2:]))


def tiny_recipe(kind: str, **changes: object) -> TrainingRecipe:
    recipe = TrainingRecipe(steps=4, batch=1, occupancy_points=64, warm_up_steps=1, average=0.5, model=kind)
    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_a_kind_learns_what_it_has_heads_for(kind: str, scenes: TrainingScenes, tmp_path: Path) -> None:
    recipe = tiny_recipe(kind, steps=12, learning_rate=2e-3, augmentation="none", average=0.0)
    result = train(scenes, recipe, tmp_path, report_every=2)
    assert result.model.kind == kind
    description = MODEL_KINDS[kind]
    terms = (GRASP_TERMS if description.has_grasps else set()) | ({"occupancy"} if description.has_geometry else set())
    log = read_log(tmp_path)
    assert log[0].keys() - {"step", "steps_per_s", "learning_rate", "validation"} == terms | {"total"}
    assert log[-1]["total"] < 0.9 * log[0]["total"]
    assert (result.figures.grasps is not None) == description.has_grasps
    assert (result.figures.occupancy is not None) == description.has_geometry
    assert ("auc" in log[-1]["validation"]) == description.has_grasps
    assert ("occupancy_iou" in log[-1]["validation"]) == description.has_geometry


@pytest.mark.parametrize("kind", ["giga-aff", "giga-geo", "giga-detach", "vgn"])
def test_an_interrupted_run_ends_with_the_same_weights(kind: str, scenes: TrainingScenes, tmp_path: Path) -> None:
    straight = train(scenes, tiny_recipe(kind), tmp_path / "straight")
    train(scenes, tiny_recipe(kind), tmp_path / "broken", stop_after=2)
    resumed = train(scenes, tiny_recipe(kind), tmp_path / "broken")
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert straight.figures == resumed.figures


@pytest.mark.parametrize("kind", ["giga", "vgn"])
def test_the_quick_precision_stays_close(kind: str, scenes: TrainingScenes, tmp_path: Path) -> None:
    exact, quick = (
        train(scenes, tiny_recipe(kind, steps=2, precision=precision), tmp_path / precision, report_every=1)
        for precision in ("float32", "bfloat16")
    )
    assert exact.model.state_dict().keys() == quick.model.state_dict().keys()
    losses = [read_log(tmp_path / precision)[0]["total"] for precision in ("float32", "bfloat16")]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_geometry_does_not_move_the_encoder_of_giga_detach(scenes: TrainingScenes, tmp_path: Path) -> None:
    blind = new_network("giga-aff")
    torch.manual_seed(0)
    start = new_network("giga-detach")
    blind.load_state_dict({name: start.state_dict()[name] for name in blind.state_dict()})
    # The limit on the gradient's length is of all weights together, so it must not bite.
    unlimited = {"gradient_limit": 1e6, "average": 0.0}
    detached = train(scenes, tiny_recipe("giga-detach", **unlimited), tmp_path / "a", initial=start).model
    alone = train(scenes, tiny_recipe("giga-aff", **unlimited), tmp_path / "b", initial=blind).model
    whole = train(scenes, tiny_recipe("giga", **unlimited), tmp_path / "c", initial=start).model
    encoder = "encoder.unet.conv_final.weight"
    torch.testing.assert_close(detached.state_dict()[encoder], alone.state_dict()[encoder], rtol=1e-4, atol=1e-6)
    difference = (whole.state_dict()[encoder] - alone.state_dict()[encoder]).abs().max()
    assert difference > 1e-4


def test_a_run_goes_on_only_as_the_kind_that_it_began_as(scenes: TrainingScenes, tmp_path: Path) -> None:
    train(scenes, tiny_recipe("giga-aff", steps=1), tmp_path)
    with pytest.raises(TrainingError, match=r"another recipe \(model\)"):
        train(scenes, tiny_recipe("giga", steps=1), tmp_path)


def test_a_checkpoint_of_before_there_were_kinds_is_one_of_giga(scenes: TrainingScenes, tmp_path: Path) -> None:
    whole = train(scenes, tiny_recipe("giga"), tmp_path / "whole").model
    train(scenes, tiny_recipe("giga"), tmp_path / "old", stop_after=2)
    stored = torch.load(tmp_path / "old" / CHECKPOINT_FILE, weights_only=True)
    del stored["recipe"]["model"]
    torch.save(stored, tmp_path / "old" / CHECKPOINT_FILE)
    resumed = train(scenes, tiny_recipe("giga"), tmp_path / "old").model
    assert torch.equal(whole.state_dict()["encoder.conv_in.weight"], resumed.state_dict()["encoder.conv_in.weight"])


def test_a_kind_begins_with_what_it_shares_with_another(scenes: TrainingScenes, tmp_path: Path) -> None:
    blind = new_network("giga-aff")
    recipe = tiny_recipe("giga-detach", steps=1, learning_rate=1e-12)
    begun = train(scenes, recipe, tmp_path / "detach", initial=blind).model.state_dict()
    for name, value in blind.state_dict().items():
        torch.testing.assert_close(begun[name], value, rtol=0, atol=1e-6)
    with pytest.raises(TrainingError, match="a VGN network has no weights in common with the GIGA-Aff network"):
        train(scenes, tiny_recipe("vgn", steps=1), tmp_path / "vgn", initial=blind)


@pytest.fixture(scope="module")
def box_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "boxes"
    writer = DatasetWriter(folder, {"generator": "boxes"})
    for seed in range(2):
        writer.write(box_scene(seed))
    writer.write(box_scene(9, split="val"))
    return folder


@pytest.mark.parametrize(
    ("kind", "first_line"),
    [
        ("giga", "GIGA (581,863 parameters): a 40^3 TSDF in; grasp quality, orientation, width and occupancy out."),
        ("giga-aff", "GIGA-Aff (555,622 parameters): a 40^3 TSDF in; grasp quality, orientation and width out."),
        ("giga-geo", "GIGA-Geo (503,041 parameters): a 40^3 TSDF in; occupancy out."),
        ("giga-detach", "GIGA-Detach (581,863 parameters): a 40^3 TSDF in; grasp quality, orientation, width and occu"),
        ("vgn", "VGN (313,238 parameters): a 40^3 TSDF in; grasp quality, orientation and width out."),
    ],
)
def test_giga_train_leaves_a_model_of_its_kind(
    box_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, first_line: str
) -> None:
    out = tmp_path / "run"
    short = ["--steps", "1", "--batch", "1", "--threads", "1", "--occupancy-points", "64"]
    assert giga(["train", str(box_data), "--model", kind, "--out", str(out), *short]) == 0
    model, card = load_model(out / f"{kind}.safetensors")
    assert (model.kind, card["kind"], card["name"]) == (kind, kind, kind)
    assert json.loads(card["recipe"])["model"] == kind
    page = (out / f"{kind}.md").read_text()
    assert first_line in page
    description = MODEL_KINDS[kind]
    printed = capsys.readouterr().out
    assert f"{description.title}: 1 steps" in printed
    for text in (page, printed):
        assert ("rotation" in text or "orientation, median" in text) == description.has_grasps
    assert ("intersection over union" in page) == description.has_geometry
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_geometry_is_learnt_on_the_features_of_giga_aff(box_data: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind.safetensors"
    save_model(blind, new_network("giga-aff"), {"name": "blind", "kind": "giga-aff"})
    out = tmp_path / "run"
    argv = ["train", str(box_data), "--model", "giga-detach", "--init", str(blind), "--out", str(out), "--name", "both"]
    assert giga([*argv, "--steps", "1", "--batch", "1", "--threads", "1", "--learning-rate", "1e-12"]) == 0
    begun, expected = (load_model(file)[0].state_dict() for file in (out / "both.safetensors", blind))
    name = "encoder.conv_in.weight"
    torch.testing.assert_close(begun[name], expected[name], rtol=0, atol=1e-6)
    assert "began with the weights of the model blind, a GIGA-Aff network" in (out / "both.md").read_text()


def test_giga_train_says_why_it_cannot_begin_with_another_network(
    box_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "vgn.safetensors"
    save_model(other, new_network("vgn"), {"name": "other"})
    argv = ["train", str(box_data), "--out", str(tmp_path / "run"), "--init", str(other), "--steps", "1"]
    assert giga(argv) == 2
    assert "no weights in common with the VGN network" in capsys.readouterr().err
