"""The file of a two-stage detector's classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from giga_perception.tensor_file import ModelFileError, read_tensors, tensors_problem, write_tensors
from giga_perception.two_stage.classifier import CandidateClassifier

KIND = "two-stage"
FORMAT_VERSION = "1"
_REMEDY = "train one with `giga train-two-stage`"


def save_classifier(path: Path, classifier: CandidateClassifier, card: Mapping[str, str]) -> None:
    """Write the classifier and its card (what made it, from what), to a temporary name first."""
    header = {"kind": KIND, "format_version": FORMAT_VERSION, "card": json.dumps(dict(card), sort_keys=True)}
    write_tensors(Path(path), classifier.state_dict(), header)


def load_classifier(path: Path) -> tuple[CandidateClassifier, dict[str, str]]:
    """The classifier, in evaluation mode, and its card. Raises ModelFileError, saying why, when it cannot be used."""
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"model file {path} does not exist: correct the path, or {_REMEDY}")
    tensors, header = read_tensors(path, "model file", _REMEDY)
    if header.get("kind") != KIND or header.get("format_version") != FORMAT_VERSION:
        raise ModelFileError(
            f"model file {path} is of kind {header.get('kind')} and format {header.get('format_version')}, a two-stage "
            f"detector needs kind {KIND} and format {FORMAT_VERSION}: {_REMEDY}"
        )
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in CandidateClassifier().state_dict().items()}
    problem = tensors_problem(tensors, expected)
    if problem is not None:
        raise ModelFileError(f"model file {path} does not hold a two-stage detector's classifier: {problem}; {_REMEDY}")
    classifier = CandidateClassifier()
    classifier.load_state_dict(tensors)
    return classifier.eval(), {str(key): str(value) for key, value in json.loads(header.get("card", "{}")).items()}
