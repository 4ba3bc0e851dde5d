"""`giga import-weights`: the authors' released weights (.pt) of GIGA or VGN, converted to this project's model file."""

from __future__ import annotations

import argparse
from pathlib import Path

from giga_bringup.errors import UserError
from giga_perception.model_kinds import GIGA, GIGA_DETACH, MODEL_KINDS

SUMMARY = "convert the GIGA authors' weights (.pt) to a model file"
EXAMPLES = """  ./giga import-weights giga_pile.pt                         writes giga_pile.safetensors beside it
  ./giga import-weights vgn_pile.pt                          which network it is, its tensors' names tell
  ./giga import-weights giga_packed.pt --output ~/packed.safetensors --name giga_packed_official
  GIGA_MODEL=giga_pile.safetensors ./giga demo               use it instead of the shipped weights"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="FILE.pt", help="state_dict as the authors released it")
    parser.add_argument("--output", type=Path, metavar="FILE", help="model file to write (default: FILE.safetensors)")
    parser.add_argument("--name", help="the model's name in reports (default: the file's name)")
    parser.add_argument(
        "--kind", choices=tuple(MODEL_KINDS), help="what network it is (default: told by its tensors' names)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the model file if it exists")


def run(args: argparse.Namespace) -> int:
    output: Path = args.output or args.checkpoint.with_suffix(".safetensors")
    if output.exists() and not args.overwrite:
        raise UserError(f"{output} exists already: name another file with --output, or pass --overwrite")

    from giga_perception.weights import ModelFileError, read_torch_checkpoint, save_model

    try:
        model = read_torch_checkpoint(args.checkpoint, args.kind)
    except ModelFileError as error:
        raise UserError(str(error)) from error
    card = {
        "name": args.name or args.checkpoint.stem,
        "kind": model.kind,
        "source": f"imported from {args.checkpoint.name}",
    }
    try:
        save_model(output, model, card)
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror or error}") from error
    parameters = sum(parameter.numel() for parameter in model.parameters())
    title = MODEL_KINDS[model.kind].title
    print(f"{output}: {card['name']}, {title}, {parameters:,} parameters; use it with GIGA_MODEL={output}")
    if args.kind is None and model.kind == GIGA.name:
        print(f"({GIGA_DETACH.title} has the same tensors: say --kind {GIGA_DETACH.name} if it was trained so)")
    return 0
