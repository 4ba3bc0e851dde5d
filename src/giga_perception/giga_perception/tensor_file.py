"""Tensors in a safetensors file with a header of strings: what every model file of this project is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


class ModelFileError(Exception):
    """A model file that cannot be used; the message is one sentence naming the file and what to do."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write them to a temporary name and rename, so that a reader never sees half a file. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(save(stored, metadata=dict(header)))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_tensors(path: Path, what: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and its header (empty when it has none).

    what: "model file", as errors call it. remedy: what errors advise. Raises ModelFileError when it is no such file.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header: dict[str, str] = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{what} {path} is damaged or no safetensors file ({error}): {remedy}") from error


def read_kind(path: Path) -> str | None:
    """The kind that the file's header names; None when it names none, or cannot be read."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return header.get("kind")


def tensors_problem(tensors: Mapping[str, object], expected: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why these are not tensors of finite floats of these names and shapes; None when they are."""
    missing = sorted(expected.keys() - tensors.keys())
    if missing:
        return f"it lacks {len(missing)} of {len(expected)} tensors, the first is {missing[0]}"
    unknown = sorted(str(name) for name in tensors.keys() - expected.keys())
    if unknown:
        return f"it has {len(unknown)} tensors too many, the first is {unknown[0]}"
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            return f"{name} is no tensor of floats"
        if tuple(tensor.shape) != expected[name]:
            return f"{name} has shape {tuple(tensor.shape)}, expected {expected[name]}"
        if not bool(torch.isfinite(tensor).all()):
            return f"{name} holds values that are not finite"
    return None
