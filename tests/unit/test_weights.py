"""Model files: what is written comes back, and every bad file ends in a sentence that names it and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from giga_perception import Giga, GraspDetector, ModelFileError, load_model, save_model
from giga_perception import weights as weights_module
from giga_perception.model_family import new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.weights import FORMAT_VERSION, SHIPPED_MODEL

CARD = {"name": "tiny", "data": "none", "figures": json.dumps({"gsr": 0.5})}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, Giga(), CARD)
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    model = Giga()
    path = tmp_path / "new folder" / "model.safetensors"
    save_model(path, model, CARD)
    loaded, card = load_model(path)
    assert card == CARD
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.safetensors"], "no temporary file is left"


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_a_stored_model_comes_back_as_its_kind(tmp_path: Path, kind: str) -> None:
    model = new_network(kind)
    path = tmp_path / "model.safetensors"
    save_model(path, model, CARD)
    loaded, _ = load_model(path)
    assert (loaded.kind, type(loaded)) == (kind, type(model))
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)


def test_the_shipped_model_is_giga() -> None:
    assert load_model(SHIPPED_MODEL)[0].kind == "giga"


def test_loading_draws_no_random_numbers(model_file: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_model(model_file)
    assert torch.equal(torch.rand(2), expected)


def test_a_loaded_model_can_be_trained_on(model_file: Path) -> None:
    loaded, _ = load_model(model_file)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a model at all " * 100)


def _rewrite(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], object]) -> None:
    tensors = load_file(path)
    header = {"kind": "giga", "format_version": FORMAT_VERSION, "card": json.dumps(CARD)}
    change(tensors, header)
    save_file(tensors, path, metadata=header)


def _other_kind(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(kind="vgn"))


def _unknown_kind(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(kind="pointnet"))


def _no_header(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.clear())


def _newer_version(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(format_version="99"))


def _card_broken(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(card="{"))


def _card_not_a_table(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(card="[1, 2]"))


def _wrong_shape(path: Path) -> None:
    _rewrite(path, lambda tensors, header: tensors.update({"decoder_qual.fc_out.weight": torch.zeros(2, 32)}))


def _tensor_missing(path: Path) -> None:
    _rewrite(path, lambda tensors, header: tensors.pop("encoder.conv_in.bias"))


def _tensor_too_many(path: Path) -> None:
    _rewrite(path, lambda tensors, header: tensors.update({"decoder_extra.weight": torch.zeros(1)}))


def _not_a_number(path: Path) -> None:
    _rewrite(path, lambda tensors, header: tensors["encoder.conv_in.bias"].fill_(float("nan")))


def _integers(path: Path) -> None:
    _rewrite(path, lambda tensors, header: tensors.update({"encoder.conv_in.bias": torch.zeros(32, dtype=torch.int64)}))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "does not exist"),
        (_folder, "is a folder"),
        (_truncate, "damaged"),
        (_empty, "damaged"),
        (_garbage, "damaged"),
        (_other_kind, r"does not hold the VGN network that it names: it lacks 18 of 18 tensors"),
        (_unknown_kind, r"is of kind 'pointnet', this program knows giga, giga-aff, giga-geo, giga-detach, vgn"),
        (_no_header, "does not say of what kind"),
        (_newer_version, "format version 99"),
        (_card_broken, "card"),
        (_card_not_a_table, "card"),
        (_wrong_shape, r"decoder_qual.fc_out.weight has shape \(2, 32\), expected \(1, 32\)"),
        (_tensor_missing, "lacks 1 of 164 tensors, the first is encoder.conv_in.bias"),
        (_tensor_too_many, "1 tensors too many"),
        (_not_a_number, "encoder.conv_in.bias holds values that are not finite"),
        (_integers, "no tensor of floats"),
    ],
)
def test_a_bad_file_is_named_with_the_reason_and_the_remedy(
    model_file: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(model_file)
    with pytest.raises(ModelFileError, match=reason) as refusal:
        load_model(model_file)
    sentence = str(refusal.value)
    assert str(model_file) in sentence
    assert "giga train" in sentence
    assert "giga import-weights" in sentence
    assert "\n" not in sentence


def test_the_environment_names_the_model_to_use(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIGA_MODEL", str(model_file))
    assert GraspDetector.from_file().model_name == "tiny"
    monkeypatch.setenv("GIGA_MODEL", str(model_file) + ".gone")
    with pytest.raises(ModelFileError, match=r"\.gone does not exist"):
        GraspDetector.from_file()
    assert GraspDetector.from_file(model_file).model_name == "tiny", "a path given is stronger than the environment"


def test_without_shipped_weights_the_sentence_says_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIGA_MODEL", raising=False)
    monkeypatch.setattr(weights_module, "SHIPPED_MODEL", tmp_path / "weights" / "giga.safetensors")
    with pytest.raises(ModelFileError, match="giga train"):
        GraspDetector.from_file()


def test_the_model_is_named_after_its_file_when_the_card_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "nameless.safetensors"
    save_model(path, Giga(), {})
    assert GraspDetector.from_file(path).model_name == "nameless"
