"""Model files: the network's weights as safetensors, with a header that says what they are."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from giga_perception.network import Giga

FORMAT_VERSION = "1"
KIND = "giga"

# Environment variable that names a model file to use instead of the shipped one.
MODEL_VARIABLE = "GIGA_MODEL"

SHIPPED_MODEL = Path(__file__).parent / "weights" / "giga.safetensors"

_REMEDY = "train one with `giga train`, or convert the authors' weights with `giga import-weights`"


class ModelFileError(Exception):
    """A model file that cannot be used; the message is one sentence naming the file and what to do."""


def model_path(path: Path | None = None) -> Path:
    """The model file to use: `path`, else the one $GIGA_MODEL names, else the shipped one."""
    if path is not None:
        return Path(path)
    named = os.environ.get(MODEL_VARIABLE)
    return Path(named) if named else SHIPPED_MODEL


def model_name(path: Path, card: Mapping[str, str]) -> str:
    """The model's own name: the card's "name", or else the file's."""
    return card.get("name") or path.stem


def save_model(path: Path, model: Giga, card: Mapping[str, str]) -> None:
    """Write the network and its card (what made it, from what; "name" is its name) to `path`.

    Written to a temporary name and renamed, so that a reader never sees half a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "name": model_name(path, card),
        "card": json.dumps(dict(card), sort_keys=True),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(save(tensors, metadata=header))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_model(path: Path) -> tuple[Giga, dict[str, str]]:
    """Read a model file: the network (in evaluation mode, on the CPU) and its card.

    Raises ModelFileError for a file that is missing, damaged, of another kind or format version, or whose tensors do
    not fit the network or are not finite.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelFileError(f"model file {path} is a folder: name a file in it, or {_REMEDY}")
    if not path.is_file():
        if path == SHIPPED_MODEL:
            raise ModelFileError(f"this checkout ships no model file yet ({path} is missing): {_REMEDY}")
        raise ModelFileError(f"model file {path} does not exist: correct the path (or ${MODEL_VARIABLE}), or {_REMEDY}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header: dict[str, str] = file.metadata() or {}
            state_dict = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"model file {path} is damaged or no safetensors file ({error}): copy it anew, or {_REMEDY}"
        ) from error

    if header.get("kind") != KIND:
        found = header.get("kind", "nothing at all")
        raise ModelFileError(f"model file {path} is of kind {found!r}, not {KIND!r}: {_REMEDY}")
    if header.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"model file {path} has format version {header.get('format_version')}, this program reads version "
            f"{FORMAT_VERSION}: use the program version that wrote it, or {_REMEDY}"
        )
    problem = state_dict_problem(state_dict)
    if problem is not None:
        raise ModelFileError(f"model file {path} does not hold a GIGA network: {problem}; {_REMEDY}")
    try:
        card = json.loads(header.get("card", ""))
    except json.JSONDecodeError:
        card = None
    if not isinstance(card, dict):
        raise ModelFileError(f"model file {path} has no readable card in its header: {_REMEDY}")
    return _network_with(state_dict), {str(key): str(value) for key, value in card.items()}


def read_torch_checkpoint(path: Path) -> Giga:
    """Read a plain state_dict as the GIGA authors released it (`.pt`), on the CPU, never running code from the file.

    Raises ModelFileError with the reason when the file cannot be read or does not fit the network exactly.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"weights file {path} does not exist: correct the path")
    try:
        state_dict = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        # The library's own text advises to read the file unsafely; that is never the remedy here.
        raise ModelFileError(
            f"weights file {path} is damaged, or no plain PyTorch state_dict: download it anew"
        ) from error
    if not isinstance(state_dict, Mapping):
        raise ModelFileError(f"weights file {path} holds a {type(state_dict).__name__}, not a state_dict")
    problem = state_dict_problem(state_dict)
    if problem is not None:
        raise ModelFileError(
            f"weights file {path} does not fit GIGA with its four heads: {problem}; use giga_packed.pt or giga_pile.pt "
            "of the authors' release"
        )
    return _network_with(dict(state_dict))


def state_dict_problem(state_dict: Mapping[str, object]) -> str | None:
    """Why these tensors are not a usable GIGA network, or None when they are: names, shapes, types, finite values."""
    expected = Giga().state_dict()
    missing = sorted(expected.keys() - state_dict.keys())
    if missing:
        return f"it lacks {len(missing)} of {len(expected)} tensors, the first is {missing[0]}"
    unknown = sorted(str(name) for name in state_dict.keys() - expected.keys())
    if unknown:
        return f"it has {len(unknown)} tensors too many, the first is {unknown[0]}"
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            return f"{name} is no tensor of floats"
        if tensor.shape != expected[name].shape:
            return f"{name} has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}"
        if not bool(torch.isfinite(tensor).all()):
            return f"{name} holds values that are not finite"
    return None


def _network_with(state_dict: Mapping[str, Tensor]) -> Giga:
    model = Giga()
    model.load_state_dict(state_dict, strict=True)
    return model.eval()
