"""The authors' weights: each file becomes a model of its kind and gives the authors' numbers; others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from giga_bringup.command_line import main
from giga_perception import ModelFileError, load_model
from giga_perception.model_family import new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.weights import read_torch_checkpoint

Reference = Callable[[Path], tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]
"""The data folder -> quality [64000], width in cubes [64000], rotation [64000, 4] of the authors' code."""


def made(suffix: str) -> Reference:
    """The seeded networks' outputs, point by point."""

    def read(shared_data: Path) -> tuple[NDArray[np.float32], ...]:
        parity = np.load(shared_data / "parity" / "parity.npz")
        return parity[f"qual_{suffix}"], parity[f"width_{suffix}"], parity[f"rot_{suffix}"]

    return read  # type: ignore[return-value]


def official(name: str) -> Reference:
    """The released networks' outputs, as volumes."""

    def read(shared_data: Path) -> tuple[NDArray[np.float32], ...]:
        heads = np.load(shared_data / "parity" / "parity_official.npz")
        return heads[f"{name}_qual"].ravel(), heads[f"{name}_width"].ravel(), heads[f"{name}_rot"].reshape(-1, 4)

    return read  # type: ignore[return-value]


def made_vgn(shared_data: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The seeded VGN's outputs; its widths are in voxels."""
    parity = np.load(shared_data / "parity" / "parity.npz")
    return (
        parity["vgn_qual_cal"].ravel(),
        parity["vgn_width_cal"].ravel() / 40,
        parity["vgn_rot_cal"].reshape(4, -1).T,
    )


@pytest.mark.parametrize(
    ("file", "kind", "title", "parameters", "reference"),
    [
        ("official_weights/giga_packed.pt", "giga", "GIGA", "581,863", official("packed")),
        ("official_weights/giga_pile.pt", "giga", "GIGA", "581,863", official("pile")),
        ("official_weights/vgn_packed.pt", "vgn", "VGN", "313,238", None),
        ("official_weights/vgn_pile.pt", "vgn", "VGN", "313,238", None),
        ("parity/ref_giga_cal.pt", "giga", "GIGA", "581,863", made("cal")),
        ("parity/ref_giga_aff.pt", "giga-aff", "GIGA-Aff", "555,622", made("aff")),
        ("parity/ref_vgn_cal.pt", "vgn", "VGN", "313,238", made_vgn),
    ],
)
def test_a_file_of_the_authors_becomes_a_model_of_its_kind_with_their_numbers(
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    kind: str,
    title: str,
    parameters: str,
    reference: Reference | None,
) -> None:
    output = tmp_path / "imported.safetensors"
    assert main(["import-weights", str(shared_data / file), "--output", str(output)]) == 0
    assert f"{Path(file).stem}, {title}, {parameters} parameters" in capsys.readouterr().out
    model, card = load_model(output)
    assert (model.kind, card["kind"]) == (kind, kind)
    theirs = torch.load(shared_data / file, map_location="cpu", weights_only=True)
    assert model.state_dict().keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)

    parity = np.load(shared_data / "parity" / "parity.npz")
    corners = torch.from_numpy(parity["query_pos_40"])[None]
    with torch.inference_mode():
        grasps = model(torch.from_numpy(parity["tsdf_grid"]), corners, corners[:, :1]).grasps
    found = [values[0].numpy() for values in (grasps.quality_logits.sigmoid(), grasps.widths, grasps.rotations)]
    if reference is None:
        # No numbers of theirs to compare with; but a network that finds nothing was not loaded.
        assert found[0].max() > 0.9
        return
    for ours, expected in zip(found, reference(shared_data), strict=True):
        assert expected.std() > 1e-4, "the comparison must have something to compare"
        np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.pt"
    torch.save(new_network("giga-geo").state_dict(), path)
    return path


@pytest.mark.parametrize("kind", [kind for kind in MODEL_KINDS if kind != "giga-detach"])
def test_a_kind_is_recognised_by_its_tensors(tmp_path: Path, kind: str) -> None:
    torch.save(new_network(kind).state_dict(), tmp_path / "any.pt")
    assert read_torch_checkpoint(tmp_path / "any.pt").kind == kind


def test_giga_and_giga_detach_have_the_same_tensors_so_the_user_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "any.pt"
    torch.save(new_network("giga-detach").state_dict(), source)
    assert main(["import-weights", str(source)]) == 0
    assert "--kind giga-detach" in capsys.readouterr().out
    assert load_model(source.with_suffix(".safetensors"))[0].kind == "giga"
    assert main(["import-weights", str(source), "--kind", "giga-detach", "--overwrite"]) == 0
    assert load_model(source.with_suffix(".safetensors"))[0].kind == "giga-detach"


def test_an_existing_file_is_not_replaced(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = checkpoint.with_suffix(".safetensors")
    output.write_text("mine")
    assert main(["import-weights", str(checkpoint)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"


Tensors = dict[str, torch.Tensor]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda tensors: tensors.pop("encoder.conv_in.bias"), "GIGA-Geo: it lacks 1 of 62 tensors, the first is enc"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "it has 1 tensors too many, the first is extra"),
        (
            lambda tensors: tensors.update({"encoder.conv_in.weight": torch.zeros(16, 1, 3, 3, 3)}),
            "encoder.conv_in.weight has shape (16, 1, 3, 3, 3), expected (32, 1, 3, 3, 3)",
        ),
        (lambda tensors: tensors["encoder.conv_in.bias"].fill_(float("inf")), "values that are not finite"),
        (lambda tensors: tensors.update({"encoder.conv_in.bias": "text"}), "encoder.conv_in.bias is no tensor"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Tensors], object], reason: str
) -> None:
    tensors = torch.load(checkpoint, weights_only=True)
    spoil(tensors)
    torch.save(tensors, checkpoint)
    assert main(["import-weights", str(checkpoint)]) == 2
    sentence = capsys.readouterr().err
    assert str(checkpoint) in sentence
    assert reason in sentence
    assert not checkpoint.with_suffix(".safetensors").exists()


def test_a_kind_that_the_file_is_not_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-weights", str(checkpoint), "--kind", "vgn"]) == 2
    assert "does not fit VGN: it lacks 18 of 18 tensors" in capsys.readouterr().err


def test_weights_of_a_network_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelFileError, match=r"no tensor of a network that this program knows \(GIGA, .*, VGN\)"):
        read_torch_checkpoint(tmp_path / "other.pt")


class _RunsCodeWhenUnpickled:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must never run",)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"encoder.conv_in.bias": _RunsCodeWhenUnpickled()}, path)
    with pytest.raises(ModelFileError, match="no plain PyTorch state_dict"):
        read_torch_checkpoint(path)
    assert "never run" not in capsys.readouterr().out


def test_a_file_that_is_missing_or_no_state_dict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        read_torch_checkpoint(tmp_path / "gone.pt")
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    with pytest.raises(ModelFileError, match="holds a list"):
        read_torch_checkpoint(tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights at all")
    with pytest.raises(ModelFileError, match="damaged, or no plain PyTorch state_dict"):
        read_torch_checkpoint(tmp_path / "text.pt")
