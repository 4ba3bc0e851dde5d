"""Model files: a network's weights as safetensors, with a header that says what they are."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from giga_perception.model_family import GraspModel, new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.tensor_file import ModelFileError, read_tensors, tensors_problem, write_tensors

__all__ = [
    "FORMAT_VERSION",
    "MODEL_VARIABLE",
    "SHIPPED_MODEL",
    "ModelFileError",
    "load_model",
    "model_name",
    "model_path",
    "network_with",
    "read_torch_checkpoint",
    "recognised_kind",
    "save_model",
    "state_dict_problem",
    "tensor_shapes",
]

FORMAT_VERSION = "1"

# Environment variable that names a model file to use instead of the shipped one.
MODEL_VARIABLE = "GIGA_MODEL"

SHIPPED_MODEL = Path(__file__).parent / "weights" / "giga.safetensors"

_REMEDY = "train one with `giga train`, or convert the authors' weights with `giga import-weights`"


def model_path(path: Path | None = None) -> Path:
    """The model file to use: `path`, else the one $GIGA_MODEL names, else the shipped one."""
    if path is not None:
        return Path(path)
    named = os.environ.get(MODEL_VARIABLE)
    return Path(named) if named else SHIPPED_MODEL


def model_name(path: Path, card: Mapping[str, str]) -> str:
    """The model's own name: the card's "name", or else the file's."""
    return card.get("name") or path.stem


def save_model(path: Path, model: GraspModel, card: Mapping[str, str]) -> None:
    """Write the network, its kind and its card (what made it, from what; "name" is its name) to `path`.

    Written to a temporary name and renamed, so that a reader never sees half a file.
    """
    path = Path(path)
    header = {
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "name": model_name(path, card),
        "card": json.dumps(dict(card), sort_keys=True),
    }
    write_tensors(path, model.state_dict(), header)


def load_model(path: Path) -> tuple[GraspModel, dict[str, str]]:
    """Read a model file: the network of the kind that it names (in evaluation mode, on the CPU) and its card.

    Raises ModelFileError for a file that is missing, damaged, of an unknown kind or another format version, or whose
    tensors do not fit the network or are not finite.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelFileError(f"model file {path} is a folder: name a file in it, or {_REMEDY}")
    if not path.is_file():
        if path == SHIPPED_MODEL:
            raise ModelFileError(f"this checkout ships no model file yet ({path} is missing): {_REMEDY}")
        raise ModelFileError(f"model file {path} does not exist: correct the path (or ${MODEL_VARIABLE}), or {_REMEDY}")
    state_dict, header = read_tensors(path, "model file", _REMEDY)
    kind = header.get("kind")
    if kind is None:
        raise ModelFileError(f"model file {path} does not say of what kind its network is: {_REMEDY}")
    if kind not in MODEL_KINDS:
        raise ModelFileError(
            f"model file {path} is of kind {kind!r}, this program knows {', '.join(MODEL_KINDS)}: {_REMEDY}"
        )
    if header.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"model file {path} has format version {header.get('format_version')}, this program reads version "
            f"{FORMAT_VERSION}: use the program version that wrote it, or {_REMEDY}"
        )
    problem = state_dict_problem(state_dict, kind)
    if problem is not None:
        raise ModelFileError(
            f"model file {path} does not hold the {MODEL_KINDS[kind].title} network that it names: {problem}; {_REMEDY}"
        )
    try:
        card = json.loads(header.get("card", ""))
    except json.JSONDecodeError:
        card = None
    if not isinstance(card, dict):
        raise ModelFileError(f"model file {path} has no readable card in its header: {_REMEDY}")
    return network_with(state_dict, kind), {str(key): str(value) for key, value in card.items()}


# What torch.load raises on bytes that are no checkpoint: its unpickler checks little before it uses what it read.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    LookupError,
    TypeError,
    AttributeError,
)


def read_torch_checkpoint(path: Path, kind: str | None = None) -> GraspModel:
    """Read a state_dict as the authors of GIGA and VGN released them (`.pt`), on the CPU, never running code from it.

    kind: what the network is to be; None recognises it (see `recognised_kind`). Raises ModelFileError with the reason
    when the file cannot be read or does not fit the network exactly.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"weights file {path} does not exist: correct the path")
    if path.suffix == ".safetensors":
        raise ModelFileError(
            f"{path} is named as a safetensors file, which is what an import writes: it needs none, use it as it is"
        )
    try:
        state_dict = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # The library's own text advises to read the file unsafely; that is never the remedy here.
        raise ModelFileError(
            f"weights file {path} is damaged, or no plain PyTorch state_dict: download it anew"
        ) from error
    if not isinstance(state_dict, Mapping):
        raise ModelFileError(f"weights file {path} holds a {type(state_dict).__name__}, not a state_dict")
    kind = kind or recognised_kind(state_dict)
    if kind is None:
        known = ", ".join(description.title for description in MODEL_KINDS.values())
        raise ModelFileError(
            f"weights file {path} holds no tensor of a network that this program knows ({known}): "
            "name a state_dict of the authors' release, like giga_pile.pt"
        )
    problem = state_dict_problem(state_dict, kind)
    if problem is not None:
        raise ModelFileError(
            f"weights file {path} does not fit {MODEL_KINDS[kind].title}: {problem}; "
            "name a state_dict of the authors' release, like giga_pile.pt"
        )
    return network_with(dict(state_dict), kind)


def recognised_kind(state_dict: Mapping[str, object]) -> str | None:
    """The kind whose tensors' names are most like these; None when not one name is known.

    GIGA-Detach has the same tensors as GIGA, and predicts the same with them; such a file is taken for GIGA.
    """

    def likeness(kind: str) -> float:
        expected = tensor_shapes(kind).keys()
        return len(expected & state_dict.keys()) / len(expected | state_dict.keys())

    nearest = max(MODEL_KINDS, key=likeness)
    return nearest if likeness(nearest) > 0 else None


def state_dict_problem(state_dict: Mapping[str, object], kind: str) -> str | None:
    """Why these tensors are not a usable network of this kind, or None when they are: names, shapes, types, values."""
    return tensors_problem(state_dict, tensor_shapes(kind))


def tensor_shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network of this kind."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in new_network(kind).state_dict().items()}


def network_with(state_dict: Mapping[str, Tensor], kind: str) -> GraspModel:
    """A network of this kind with these weights (checked already), in evaluation mode, on the CPU."""
    # Weights about to be overwritten need not be drawn.
    with torch.device("meta"):
        model = new_network(kind)
    model.to_empty(device="cpu")
    model.load_state_dict(state_dict, strict=True)
    return model.eval()
