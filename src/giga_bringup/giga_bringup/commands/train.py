"""`giga train`: a network from labelled scenes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError
from giga_perception.model_kinds import MODEL_KINDS

if TYPE_CHECKING:
    from giga_perception.training import Progress
    from giga_perception.training_recipe import TrainingRecipe
    from giga_perception.training_scenes import SceneSelection

SUMMARY = "train a network on labelled scenes (made by `giga generate`)"
EXAMPLES = """  ./giga train                                   on $GIGA_DATA/first; result in $GIGA_DATA/runs/giga
  ./giga train ~/data/a ~/data/b --name ab --epochs 60
  ./giga train --model giga-aff                  without a geometry head; result in $GIGA_DATA/runs/giga-aff
  ./giga train --model giga-detach --init ~/.cache/giga/runs/giga-aff/giga-aff.safetensors    geometry on its features
  ./giga train --steps 300 --limit 200           a short trial on 200 scenes
  ./giga train --init runs/giga/giga.safetensors --out runs/more     from earlier weights, on more scenes
  ./giga train                                   again after an interruption: goes on where it stopped
  GIGA_MODEL=~/.cache/giga/runs/giga/giga.safetensors ./giga demo"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="*", type=Path, metavar="FOLDER", help="data sets (default: $GIGA_DATA/first)")
    parser.add_argument("--model", choices=tuple(MODEL_KINDS), default="giga", help="what to train (default: giga)")
    parser.add_argument("--name", help="the model's name (default: that of --model)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (default: $GIGA_DATA/runs/NAME)")
    parser.add_argument("--init", type=Path, metavar="FILE", help="model file whose weights to start from")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, default=40.0, help="passes over the training scenes (default: 40)")
    length.add_argument("--steps", type=int, help="optimiser steps, in place of --epochs")
    parser.add_argument("--batch", type=int, default=16, help="scenes a step (default: 16)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="highest rate of Adam (default: 0.001)")
    parser.add_argument("--schedule", choices=("cosine", "constant"), default="cosine", help="(default: cosine)")
    parser.add_argument("--warm-up", type=int, default=100, metavar="STEPS", help="steps of rising rate (default: 100)")
    parser.add_argument("--weight-decay", type=float, default=0.0, help="AdamW's decay (default: 0 = plain Adam)")
    parser.add_argument("--grasps", type=int, default=64, help="labelled points used of a scene (default: 64)")
    parser.add_argument("--occupancy-points", type=int, default=1024, help="of a scene and step (default: 1024)")
    parser.add_argument(
        "--augmentation",
        choices=("none", "mirror", "turn"),
        default="mirror",
        help="mirror keeps the camera's side, turn looks from all four (default: mirror)",
    )
    parser.add_argument("--average", type=float, default=0.999, help="decay of the weights' moving average, 0 = off")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the convolutions; auto = bfloat16 where the processor computes in it (default: auto)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order, noise (default: 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="use N scenes at most")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--validate-every", type=int, default=500, metavar="STEPS", help="(default: 500)")


def run(args: argparse.Namespace) -> int:
    import torch

    from giga_perception.dataset import DatasetError, data_root, default_dataset, read_dataset_header
    from giga_perception.loss_curve import write_loss_curve
    from giga_perception.model_card import card_markdown, training_card
    from giga_perception.training import CHECKPOINT_FILE, read_log, train
    from giga_perception.training_run import TrainingError, read_checkpoint
    from giga_perception.training_scenes import load_scenes
    from giga_perception.weights import ModelFileError, load_model, save_model

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {args.device}: this PyTorch finds no CUDA device; install one that does, or use cpu")
    folders = args.data or [default_dataset()]
    name: str = args.name or args.model
    out: Path = args.out or data_root() / "runs" / name
    try:
        out.mkdir(parents=True, exist_ok=True)
        stored = read_checkpoint(out / CHECKPOINT_FILE)
        names = stored["scenes"] if stored is not None else None
        selection = load_scenes(folders, names=names, limit=args.limit, progress=_show_reading)
        headers = {folder.name: read_dataset_header(folder) for folder in folders}
        initial, initial_card = load_model(args.init) if args.init is not None else (None, None)
        recipe = _recipe(args, len(selection.scenes.train))
        _announce(selection, recipe, out, steps_done=stored["step"] if stored is not None else 0)
        result = train(
            selection.scenes,
            recipe,
            out,
            device=args.device,
            initial=initial,
            report=_show_progress,
            validate_every=args.validate_every,
        )
        card = training_card(name, selection, headers, recipe, result, initial_card)
        model_file = out / f"{name}.safetensors"
        save_model(model_file, result.model, card)
        (out / f"{name}.md").write_text(card_markdown(card))
        write_loss_curve(read_log(out), out / "loss.png")
    except (DatasetError, ModelFileError, TrainingError, ValueError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot write the run to {out}: {error.strerror or error}") from error
    print(f"{model_file}: trained in {result.seconds / 60.0:.1f} min; card {name}.md and loss.png lie beside it")
    print(f"use it with GIGA_MODEL={model_file}")
    return 0


def _recipe(args: argparse.Namespace, scene_count: int) -> TrainingRecipe:
    from giga_perception.training_recipe import TrainingRecipe, quickest_precision

    steps = args.steps if args.steps is not None else max(1, round(args.epochs * scene_count / args.batch))
    return TrainingRecipe(
        steps=steps,
        batch=args.batch,
        learning_rate=args.learning_rate,
        schedule=args.schedule,
        warm_up_steps=args.warm_up,
        weight_decay=args.weight_decay,
        grasps=args.grasps,
        occupancy_points=args.occupancy_points,
        augmentation=args.augmentation,
        average=args.average,
        precision=quickest_precision() if args.precision == "auto" else args.precision,
        seed=args.seed,
        model=args.model,
    )


def _announce(selection: SceneSelection, recipe: TrainingRecipe, out: Path, steps_done: int) -> None:
    scenes = selection.scenes
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(selection.kinds.items()))
    share = selection.successes / max(1, selection.labelled_points)
    print(f"{len(scenes.train)} scenes to train on, {len(scenes.validation)} to validate ({kinds})")
    print(f"{selection.labelled_points} labelled points, {100 * share:.1f} % successes")
    if not selection.objects_held_out:
        print("note: validation scenes hold objects that training sees too")
    going_on = f", going on after step {steps_done}" if steps_done else ""
    title = MODEL_KINDS[recipe.model].title
    print(
        f"{title}: {recipe.steps} steps of {recipe.batch} scenes, {recipe.precision}; run in {out}{going_on}",
        flush=True,
    )


def _show_reading(done: int, total: int) -> None:
    if done % 200 == 0 or done == total:
        print(f"\rreading scenes: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _show_progress(progress: Progress) -> None:
    losses = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    print(
        f"step {progress.step}/{progress.steps}  {losses}  {progress.steps_per_s:.2f} it/s  "
        f"{progress.remaining_s / 60.0:.1f} min left",
        flush=True,
    )
    if progress.figures is not None:
        print(f"  validation: {_in_words(progress.figures.as_dict())}", flush=True)


_FIGURES = (
    ("loss", "loss {:.3f}", 1.0),
    ("balanced_bce", "bce {:.3f}", 1.0),
    ("auc", "auc {:.3f}", 1.0),
    ("precision", "precision {:.2f}", 1.0),
    ("recall", "recall {:.2f}", 1.0),
    ("rotation_error_deg", "rotation {:.0f} deg", 1.0),
    ("width_error_m", "width {:.1f} mm", 1000.0),
    ("occupancy_iou", "occupancy IoU {:.3f}", 1.0),
)


def _in_words(figures: dict[str, float]) -> str:
    """The figures that the network has, in one line."""
    return "  ".join(text.format(scale * figures[key]) for key, text, scale in _FIGURES if key in figures)
