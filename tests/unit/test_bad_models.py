"""Model files damaged in every way that a disk, a copy or a mix-up can: one error, one sentence, whatever the kind.

What `load_model` says to each single fault is tested in test_weights.py; here is what no list of faults covers.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from giga_perception import ModelFileError, load_model, save_model
from giga_perception.model_family import new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.weights import FORMAT_VERSION, read_torch_checkpoint

SAME_TENSORS = {frozenset({"giga", "giga-detach"})}
"""Kinds that differ in how they were trained, not in what they hold."""


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for kind in MODEL_KINDS:
        save_model(folder / f"{kind}.safetensors", new_network(kind), {"name": kind})
    return {kind: folder / f"{kind}.safetensors" for kind in MODEL_KINDS}


def refused(path: Path) -> str:
    """The sentence with which this file is refused; fails when it is not, or when anything else is raised."""
    with pytest.raises(ModelFileError) as raised:
        load_model(path)
    sentence = str(raised.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def with_header(path: Path, tensors: dict[str, torch.Tensor], **changes: str) -> Path:
    header = {"kind": "giga", "format_version": FORMAT_VERSION, "card": json.dumps({"name": "made"})}
    save_file(tensors, path, metadata=header | changes)
    return path


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_cut_anywhere_it_is_refused(kind: str, model_files: dict[str, Path], tmp_path: Path) -> None:
    content = model_files[kind].read_bytes()
    header_ends = 8 + int.from_bytes(content[:8], "little")
    for length in (0, 1, 7, 8, 9, header_ends // 2, header_ends - 1, header_ends, len(content) // 2, len(content) - 1):
        path = tmp_path / f"cut_{length}.safetensors"
        path.write_bytes(content[:length])
        assert "damaged" in refused(path)


def test_with_more_behind_it_it_is_refused(model_files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(model_files["giga"].read_bytes() + bytes(10))
    assert "damaged" in refused(path)


def test_a_damaged_header_raises_nothing_but_the_sentence(model_files: dict[str, Path], tmp_path: Path) -> None:
    content = model_files["vgn"].read_bytes()
    header_ends = 8 + int.from_bytes(content[:8], "little")
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.safetensors"
    unharmed = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in generator.integers(0, header_ends, 3):
            damaged[place] = int(generator.integers(0, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(ModelFileError):
            load_model(path)
            unharmed += 1
    assert unharmed < 50


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_under_another_kinds_name_it_is_refused(kind: str, model_files: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(model_files[kind])
    for other in MODEL_KINDS:
        if other == kind or frozenset({kind, other}) in SAME_TENSORS:
            continue
        path = with_header(tmp_path / f"{other}.safetensors", tensors, kind=other)
        assert f"does not hold the {MODEL_KINDS[other].title} network" in refused(path)


@pytest.mark.parametrize("kind", MODEL_KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_found(
    kind: str, value: float, model_files: dict[str, Path], tmp_path: Path
) -> None:
    tensors = load_file(model_files[kind])
    name = sorted(tensors)[len(tensors) // 2]
    tensors[name].view(-1)[-1] = value
    path = with_header(tmp_path / "spoiled.safetensors", tensors, kind=kind)
    assert f"{name} holds values that are not finite" in refused(path)


@pytest.mark.parametrize("version", ["0", "2", "1.0", "", "one"])
def test_another_format_version_is_refused(version: str, model_files: dict[str, Path], tmp_path: Path) -> None:
    path = with_header(tmp_path / "other.safetensors", load_file(model_files["giga"]), format_version=version)
    assert f"format version {version}, this program reads version {FORMAT_VERSION}" in refused(path)


def test_somebody_elses_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"embedding.weight": torch.zeros(3)}, path)
    assert "kind" in refused(path)


def test_a_damaged_checkpoint_raises_nothing_but_the_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(new_network("vgn").state_dict(), path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    unharmed = 0
    for index in range(120):
        damaged = bytearray(content)
        # The pickle lies at the beginning, the zip's directory at the end, weights between them.
        region = (0, 6000) if index % 2 else (len(content) - 6000, len(content))
        for place in generator.integers(*region, 5):
            damaged[place] = int(generator.integers(0, 256))
        path.write_bytes(damaged[: int(generator.integers(0, len(content)))] if index % 5 == 0 else damaged)
        with contextlib.suppress(ModelFileError):
            read_torch_checkpoint(path)
            unharmed += 1
    assert unharmed < 60


def test_nothing_of_a_pickle_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Shouts:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("this must never run",)

    for name, sentence in (
        ("model.pt", "no plain PyTorch state_dict"),
        ("model.safetensors", "named as a safetensors file"),
    ):
        path = tmp_path / name
        torch.save({"encoder.conv_in.bias": Shouts()}, path)
        assert "damaged" in refused(path)
        with pytest.raises(ModelFileError, match=sentence):
            read_torch_checkpoint(path)
    assert "never run" not in capsys.readouterr().out
