"""The file of a grasp judge: it lies beside the model that it judges, and knows which one that is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from giga_perception.grasp_judge import GraspJudge
from giga_perception.tensor_file import ModelFileError, read_tensors, tensors_problem, write_tensors

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
    write_tensors(path, judge.state_dict(), header)


def load_judge(path: Path, model: nn.Module) -> GraspJudge:
    """Read the judge of `model`. Raises ModelFileError, saying why, when the file cannot be used for it."""
    remedy = "make it anew with `giga judge`"
    if not path.is_file():
        raise ModelFileError(f"judge file {path} does not exist: {remedy}, or use mode plain")
    state, header = read_tensors(path, "judge file", remedy)
    if header.get("kind") != _KIND or header.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"judge file {path} is a {header.get('kind')} of format {header.get('format_version')}, this program reads "
            f"a {_KIND} of format {FORMAT_VERSION}: {remedy}"
        )
    if header.get("model_fingerprint") != fingerprint(model):
        raise ModelFileError(f"judge file {path} was taught on another model than the one beside it: {remedy}")
    judge = GraspJudge()
    problem = tensors_problem(state, {name: tuple(tensor.shape) for name, tensor in judge.state_dict().items()})
    if problem is not None:
        raise ModelFileError(f"judge file {path} does not hold the tensors of a judge: {problem}; {remedy}")
    judge.load_state_dict(state)
    return judge.eval()
