"""Model files: what is written comes back, and every bad file ends in a sentence that names it and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from giga_bringup.command_line import main
from giga_perception import Giga, GraspDetector, ModelFileError, load_model, save_model
from giga_perception import weights as weights_module
from giga_perception.weights import FORMAT_VERSION, KIND, read_torch_checkpoint

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
    header = {"kind": KIND, "format_version": FORMAT_VERSION, "card": json.dumps(CARD)}
    change(tensors, header)
    save_file(tensors, path, metadata=header)


def _other_kind(path: Path) -> None:
    _rewrite(path, lambda tensors, header: header.update(kind="vgn"))


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
        (_other_kind, "kind 'vgn'"),
        (_no_header, "kind"),
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


@pytest.mark.parametrize("name", ["packed", "pile"])
def test_the_authors_weights_are_imported(
    shared_data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = shared_data / "official_weights" / f"giga_{name}.pt", tmp_path / "imported.safetensors"
    assert main(["import-weights", str(source), "--output", str(output)]) == 0
    assert f"giga_{name}, 581,863 parameters" in capsys.readouterr().out
    reference = torch.load(source, map_location="cpu", weights_only=True)
    for tensor_name, tensor in load_model(output)[0].state_dict().items():
        torch.testing.assert_close(tensor, reference[tensor_name], rtol=0, atol=0)
    assert main(["import-weights", str(source), "--output", str(output)]) == 2, "an existing file is not replaced"
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("official_weights/vgn_pile.pt", "lacks 164 of 164 tensors"),
        ("parity/ref_giga_aff.pt", "decoder_tsdf"),
        ("README.md", "damaged, or no plain PyTorch state_dict"),
    ],
)
def test_weights_of_another_network_are_not_imported(
    shared_data: Path, tmp_path: Path, file: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "imported.safetensors"
    assert main(["import-weights", str(shared_data / file), "--output", str(output)]) == 2
    assert reason in capsys.readouterr().err
    assert not output.exists()


class _RunsCodeWhenUnpickled:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must never run",)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"encoder.conv_in.bias": _RunsCodeWhenUnpickled()}, path)
    with pytest.raises(ModelFileError, match="no plain PyTorch state_dict"):
        read_torch_checkpoint(path)
    assert "never run" not in capsys.readouterr().out


def test_a_checkpoint_that_is_missing_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        read_torch_checkpoint(tmp_path / "gone.pt")
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    with pytest.raises(ModelFileError, match="holds a list"):
        read_torch_checkpoint(tmp_path / "list.pt")
