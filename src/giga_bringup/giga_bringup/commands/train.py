"""`giga train`: a network from labelled scenes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError
from giga_bringup.training_reports import RunReports, announce, show_reading, show_simulating
from giga_perception.model_kinds import MODEL_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from giga_perception.training_checks import SimulatedValidation, TrainingResult
    from giga_perception.training_processes import TrainingProcesses
    from giga_perception.training_recipe import TrainingRecipe
    from giga_perception.training_scenes import SceneSelection

SUMMARY = "train a network on labelled scenes (made by `giga generate`)"
EXAMPLES = """  ./giga train                                   on $GIGA_DATA/first; result in $GIGA_DATA/runs/giga
  ./giga train                                   again after an interruption: goes on where it stopped
  ./giga train ~/data/a ~/data/b --name ab --epochs 60 --simulate-every 1000
  ./giga train --steps 300 --limit 200           a short trial on 200 scenes
  ./giga train --model giga-aff                  without a geometry head; result in $GIGA_DATA/runs/giga-aff
  ./giga train --model giga-detach --init ~/.cache/giga/runs/giga-aff/giga-aff.safetensors    geometry on its features
  ./giga train --init runs/giga/giga.safetensors --out runs/more     from earlier weights, on more scenes
  .venv/bin/torchrun --standalone --nproc-per-node 2 -m giga_bringup train     two processes (or GPUs) share each batch
  GIGA_MODEL=~/.cache/giga/runs/giga/giga.safetensors ./giga demo

The defaults: losses, optimiser, rate, batch and balance of the paper; many grasps an encoding, mirrored scenes, a
cosine and an average of the weights are ours. The paper's recipe, as far as it is written down:
  ./giga train --grasps-per-scene 1 --augmentation none --schedule constant --warm-up 0 --gradient-limit 0 --average 0
The recipe of the weights that ship, in two stages (the first went on from earlier weights, with --init):
  ./giga train --balance weigh --batch 16 --learning-rate 1.5e-3 --schedule constant --weight-decay 0.01 \\
    --augmentation turn --steps 1350 --name stage1
  ./giga train --balance weigh --batch 16 --learning-rate 1.5e-3 --weight-decay 0.01 --steps 2600 \\
    --init ~/.cache/giga/runs/stage1/stage1.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="*", type=Path, metavar="FOLDER", help="data sets (default: $GIGA_DATA/first)")
    parser.add_argument("--model", choices=tuple(MODEL_KINDS), default="giga", help="what to train (default: giga)")
    parser.add_argument("--name", help="the model's name (default: that of --model)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (default: $GIGA_DATA/runs/NAME)")
    parser.add_argument("--init", type=Path, metavar="FILE", help="model file whose weights to start from")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, default=40.0, help="passes over the training scenes (default: 40)")
    length.add_argument("--steps", type=int, help="optimiser steps, in place of --epochs")
    parser.add_argument("--batch", type=int, default=32, help="scenes a step (default: 32)")
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="highest rate of Adam (default: 0.0002)")
    parser.add_argument("--schedule", choices=("cosine", "constant"), default="cosine", help="(default: cosine)")
    parser.add_argument("--warm-up", type=int, default=100, metavar="STEPS", help="steps of rising rate (default: 100)")
    parser.add_argument("--weight-decay", type=float, default=0.0, help="AdamW's decay (default: 0 = plain Adam)")
    parser.add_argument(
        "--gradient-limit", type=float, default=1.0, help="longest gradient, longer ones are cut; 0 = off (default: 1)"
    )
    parser.add_argument(
        "--grasps-per-scene",
        type=int,
        default=64,
        metavar="N",
        help="labelled points that one encoding of a scene supervises, at most (default: 64; the paper: 1)",
    )
    parser.add_argument(
        "--balance",
        choices=("drop", "weigh", "none"),
        default="drop",
        help="successes are few: drop failures until both are equally many, others each epoch (as the paper), weigh "
        "them, or leave them (default: drop)",
    )
    parser.add_argument("--occupancy-points", type=int, default=1024, help="of a scene and step (default: 1024)")
    parser.add_argument(
        "--augmentation",
        choices=("none", "mirror", "turn"),
        default="mirror",
        help="mirror keeps the camera's side, turn looks from all four (default: mirror)",
    )
    parser.add_argument(
        "--views",
        choices=("side", "any", "several"),
        default="side",
        help="which stored views a sample sees: the side view, any one, or several fused (default: side)",
    )
    parser.add_argument(
        "--views-per-sample", type=int, default=6, metavar="N", help="how many --views several fuses (default: 6)"
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
    parser.add_argument(
        "--simulate-every",
        type=int,
        metavar="STEPS",
        help="also let it clear simulated tables then, and keep the best as NAME.best.safetensors (default: never)",
    )
    parser.add_argument(
        "--simulate-rounds", type=int, default=20, metavar="N", help="tables, of pile and packed each (default: 20)"
    )
    parser.add_argument(
        "--simulate-objects",
        default="parametric",
        metavar="SET",
        help="'parametric' or a folder of URDFs, {scene} standing for the kind; its validation objects are used",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="refuse to train without TensorBoard curves (they are written wherever tensorboardX is installed)",
    )


def run(args: argparse.Namespace) -> int:
    import torch

    from giga_perception.dataset import DatasetError
    from giga_perception.training_processes import LaunchError, launched_processes
    from giga_perception.training_run import TrainingError
    from giga_perception.weights import ModelFileError

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {args.device}: this PyTorch finds no CUDA device; install one that does, or use cpu")
    if min(args.validate_every, args.simulate_every or 1, args.simulate_rounds) < 1:
        raise UserError("--validate-every, --simulate-every and --simulate-rounds must be at least 1")
    if args.simulate_every is not None and not MODEL_KINDS[args.model].has_grasps:
        raise UserError(f"a {MODEL_KINDS[args.model].title} network predicts no grasps: leave --simulate-every out")
    try:
        with launched_processes(args.device) as (processes, device):
            _train(args, processes, device)
    except (DatasetError, LaunchError, ModelFileError, TrainingError, ValueError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot write the run to {_run_folder(args)}: {error.strerror or error}") from error
    return 0


def _train(args: argparse.Namespace, processes: TrainingProcesses, device: str) -> None:
    from giga_perception.dataset import default_dataset, read_dataset_header
    from giga_perception.loss_curve import write_loss_curve
    from giga_perception.model_card import card_markdown, training_card
    from giga_perception.training import CHECKPOINT_FILE, read_log, train
    from giga_perception.training_run import read_checkpoint
    from giga_perception.weights import load_model, save_model

    folders = args.data or [default_dataset()]
    out = _run_folder(args)
    name: str = args.name or args.model
    out.mkdir(parents=True, exist_ok=True)
    stored = read_checkpoint(out / CHECKPOINT_FILE)
    steps_done = stored["step"] if stored is not None else 0
    selection = _load_scenes(args, folders, stored["scenes"] if stored is not None else None, processes)
    headers = {folder.name: read_dataset_header(folder) for folder in folders}
    initial, initial_card = load_model(args.init) if args.init is not None else (None, None)
    recipe = _recipe(args, len(selection.scenes.train))
    if not processes.leads:
        train(selection.scenes, recipe, out, device=device, initial=initial, processes=processes)
        return

    def save(model_name: str, result: TrainingResult) -> Path:
        card = training_card(model_name, selection, headers, recipe, result, initial_card)
        save_model(out / f"{model_name}.safetensors", result.model, card)
        (out / f"{model_name}.md").write_text(card_markdown(card))
        return out / f"{model_name}.safetensors"

    simulation = _simulation(args, lambda best: print(f"  best so far: {save(f'{name}.best', best)}", flush=True))
    announce(selection, recipe, out, steps_done, processes)
    with RunReports(out, steps_done, curves_wanted=args.tensorboard) as report:
        result = train(
            selection.scenes,
            recipe,
            out,
            device=device,
            initial=initial,
            report=report,
            validate_every=args.validate_every,
            simulation=simulation,
            processes=processes,
        )
    model_file = save(name, result)
    write_loss_curve(read_log(out), out / "loss.png")
    print(f"{model_file}: trained in {result.seconds / 60.0:.1f} min; card {name}.md and loss.png lie beside it")
    print(f"use it with GIGA_MODEL={model_file}")


def _run_folder(args: argparse.Namespace) -> Path:
    from giga_perception.dataset import data_root

    folder: Path = args.out or data_root() / "runs" / (args.name or args.model)
    return folder


def _load_scenes(
    args: argparse.Namespace, folders: Sequence[Path], names: Sequence[str] | None, processes: TrainingProcesses
) -> SceneSelection:
    """The scenes of a run, in every process those that the first one found: a data set may be growing."""
    from giga_perception.training_scenes import load_scenes

    other_views = args.views != "side"
    if not processes.leads:
        return load_scenes(folders, names=processes.agreed(names), other_views=other_views)
    selection = load_scenes(folders, names=names, limit=args.limit, other_views=other_views, progress=show_reading)
    processes.agreed(selection.scenes.names)
    return selection


def _simulation(args: argparse.Namespace, keep_best: Callable[[TrainingResult], None]) -> SimulatedValidation | None:
    if args.simulate_every is None:
        return None
    from giga_perception.training_checks import SimulatedValidation
    from giga_sim.grasping_validation import GraspingValidation
    from giga_sim.object_sets import ObjectSetError

    try:
        check = GraspingValidation(args.simulate_rounds, args.simulate_objects, show_simulating)
    except ObjectSetError as error:
        raise UserError(str(error)) from error
    return SimulatedValidation(check, args.simulate_every, keep_best)


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
        gradient_limit=args.gradient_limit,
        grasps=args.grasps_per_scene,
        balance=args.balance,
        occupancy_points=args.occupancy_points,
        augmentation=args.augmentation,
        views=args.views,
        views_a_sample=args.views_per_sample,
        average=args.average,
        precision=quickest_precision(args.device) if args.precision == "auto" else args.precision,
        seed=args.seed,
        model=args.model,
    )
