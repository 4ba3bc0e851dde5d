"""The file of a grasp judge: it lies beside the model that it judges, and knows which one that is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from giga_perception.grasp_judge import GraspJudge
from giga_perception.weights import ModelFileError

FORMAT_VERSION = "2"
_KIND = "grasp-judge"


def judge_path(model_path: Path) -> Path:
    """Where the judge of a model file lies: giga.safetensors -> giga.judge.safetensors."""
    return model_path.with_name(f"{model_path.stem}.judge.safetensors")


def fingerprint(model: nn.Module) -> str:
    """Tells the weights of one model from any other's, wherever they are stored."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_judge(path: Path, judge: GraspJudge, model: nn.Module, card: Mapping[str, str]) -> None:
    """Write the judge of `model` with its card, to a temporary name first."""
    header = {**card, "format_version": FORMAT_VERSION, "kind": _KIND, "model_fingerprint": fingerprint(model)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_file({name: tensor.contiguous() for name, tensor in judge.state_dict().items()}, temporary, metadata=header)
    os.replace(temporary, path)


def load_judge(path: Path, model: nn.Module) -> GraspJudge:
    """Read the judge of `model`. Raises ModelFileError, saying why, when the file cannot be used for it."""
    remedy = "make it anew with `giga judge`"
    if not path.is_file():
        raise ModelFileError(f"judge file {path} does not exist: {remedy}, or use mode plain")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header: dict[str, str] = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"judge file {path} is damaged or no safetensors file ({error}): {remedy}") from error
    if header.get("kind") != _KIND or header.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"judge file {path} is a {header.get('kind')} of format {header.get('format_version')}, this program reads "
            f"a {_KIND} of format {FORMAT_VERSION}: {remedy}"
        )
    if header.get("model_fingerprint") != fingerprint(model):
        raise ModelFileError(f"judge file {path} was taught on another model than the one beside it: {remedy}")
    judge = GraspJudge()
    expected = judge.state_dict()
    if state.keys() != expected.keys() or any(state[name].shape != expected[name].shape for name in expected):
        raise ModelFileError(f"judge file {path} does not hold the tensors of a judge: {remedy}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise ModelFileError(f"judge file {path} holds values that are not finite: {remedy}")
    judge.load_state_dict(state)
    return judge.eval()
