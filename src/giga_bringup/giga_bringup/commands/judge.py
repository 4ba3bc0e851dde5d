"""`giga judge`: teach a model to look twice at its own grasps, by trying them in simulation."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.judge_training import JudgeFigures

SUMMARY = "teach a model to look twice at its own grasps: tries them in simulation, learns which hold (resumable)"
EXAMPLES = """  ./giga judge                                   for the shipped weights, 1000 scenes
  ./giga judge --model runs/giga/giga.safetensors --scenes 2000
  ./giga judge --objects parametric 'objects/{scene}/train'
  ./giga judge --scenes 2000                     again after an interruption: goes on where it stopped
  ./giga judge --scenes 2000 --minutes 60        learns from as many of them as an hour gives"""

SCENES_A_FILE = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="model file (default: $GIGA_MODEL, or else the shipped weights)")
    parser.add_argument("--scenes", type=int, default=1000, help="scenes to try grasps in (default 1000)")
    parser.add_argument(
        "--objects",
        nargs="+",
        default=["parametric"],
        help="'parametric' and folders of URDFs, of which the training split takes turns; {scene} is pile or packed",
    )
    parser.add_argument("--seed", type=int, default=1_000_000, help="seed of the first scene (default 1000000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument(
        "--minutes", type=float, help="try no more grasps after this long and learn from those there are (0: at once)"
    )
    parser.add_argument("--trials", type=Path, help="folder of the trials (default $GIGA_DATA/judge/FINGERPRINT)")
    parser.add_argument("--output", type=Path, help="judge file (default: beside the model, NAME.judge.safetensors)")


def run(args: argparse.Namespace) -> int:
    from giga_perception.dataset import data_root
    from giga_perception.judge_file import fingerprint, judge_path, save_judge
    from giga_perception.judge_training import train_judge
    from giga_perception.network import Giga
    from giga_perception.source_commit import source_commit
    from giga_perception.weights import ModelFileError, load_model, model_path
    from giga_sim.judge_trials import lessons_of, object_sets_of, read_trials
    from giga_sim.object_sets import ObjectSetError

    if min(args.scenes, args.workers) < 1:
        raise UserError("--scenes and --workers must be at least 1")
    path = model_path(args.model)
    try:
        model, _ = load_model(path)
        object_sets_of(args.objects)
    except (ModelFileError, ObjectSetError) as error:
        raise UserError(str(error)) from error
    if not isinstance(model, Giga) or not (model.has_grasps and model.has_geometry):
        raise UserError(
            f"{path} is a {model.kind}: a judge looks at grasps and geometry, so it needs giga or giga-detach"
        )
    folder = args.trials or data_root() / "judge" / fingerprint(model)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    _make_missing(args, path, folder)

    first, last = args.seed, args.seed + args.scenes
    files = [file for file in sorted(folder.glob("trials_*.npz")) if first <= int(file.stem.split("_")[1]) < last]
    try:
        tried = [trials for file in files for trials in read_trials(file)]
    except ValueError as error:
        raise UserError(str(error)) from error
    if not tried:
        raise UserError(
            f"{path} proposed no grasp in {args.scenes} scenes, so there is nothing to learn from: "
            "train it for longer (`giga train`), or name another with --model"
        )
    count = sum(len(trials) for trials in tried)
    held = sum(int(trials.successes.sum()) for trials in tried)
    print(f"{count} trials in {len(tried)} scenes, {100.0 * held / count:.1f} % held; learning", flush=True)
    seen, successes, scenes = lessons_of(model, tried)
    judge, figures = train_judge(seen, successes, scenes)
    output = args.output or judge_path(path)
    card = {
        "trials": str(figures.trials),
        "objects": ", ".join("/".join(Path(name).parts[-3:]) for name in args.objects),
        "seeds": _ranges([trials.seed for trials in tried]),
        "commit": source_commit(),
        "held_back_auc": f"{figures.judge_auc:.3f}",
    }
    save_judge(output, judge, model, card)
    output.with_suffix(".md").write_text(_card_text(path.name, card, figures))
    print("  on scenes held back        network   judge")
    print(f"  area under the ROC curve   {figures.quality_auc:7.3f} {figures.judge_auc:7.3f}")
    print(
        f"  first choice holds         {100 * figures.quality_first_choice:6.1f}% "
        f"{100 * figures.judge_first_choice:6.1f}%"
    )
    print(f"written to {output}")
    return 0


def _ranges(seeds: list[int]) -> str:
    """Seeds in words: runs of file lengths, a scene without a proposed grasp among them or not."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed - runs[-1][1] <= SCENES_A_FILE:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return " and ".join(f"{first} to {last}" for first, last in runs)


def _card_text(model: str, card: dict[str, str], figures: JudgeFigures) -> str:
    """The judge's card: what it was taught from, and how it does on scenes that it did not see."""
    rows = (
        ("area under the ROC curve", f"{figures.quality_auc:.3f}", f"{figures.judge_auc:.3f}"),
        (
            "scenes whose first choice holds",
            f"{100 * figures.quality_first_choice:.1f} %",
            f"{100 * figures.judge_first_choice:.1f} %",
        ),
    )
    lines = [
        f"# The judge of {model}",
        "",
        "Tells which of that model's grasps hold, from the shape that the model predicts around the hand.",
        f"Taught by `giga judge` from {card['trials']} simulated trials on training objects",
        f"({card['objects']}; seeds {card['seeds']}; commit {card['commit']}).",
        "",
        "| on scenes held back | network's quality | judge |",
        "|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _make_missing(args: argparse.Namespace, model: Path, folder: Path) -> None:
    """Make the trials that the folder lacks, in files of SCENES_A_FILE scenes, each written whole or not at all."""
    from giga_sim.judge_trials import SceneTrials, make_trials, write_trials

    started = time.monotonic()
    starts = range(args.seed, args.seed + args.scenes, SCENES_A_FILE)
    missing = [start for start in starts if not (folder / f"trials_{start}.npz").is_file()]
    if args.minutes == 0.0:
        missing = []
    if missing:
        print(f"Trying grasps in {len(missing) * SCENES_A_FILE} scenes into {folder}; Ctrl-C stops, again goes on.")
    seeds = [seed for start in missing for seed in range(start, min(start + SCENES_A_FILE, args.seed + args.scenes))]
    made: dict[int, dict[int, SceneTrials | None]] = {start: {} for start in missing}
    done = 0
    for seed, trials in make_trials(model, args.objects, "mirror", seeds, args.workers) if seeds else ():
        start = args.seed + (seed - args.seed) // SCENES_A_FILE * SCENES_A_FILE
        made[start][seed] = trials
        if len(made[start]) < min(SCENES_A_FILE, args.seed + args.scenes - start):
            continue
        present = [found for _, found in sorted(made.pop(start).items()) if found is not None]
        if present:
            temporary = folder / f".trials_{start}.tmp.npz"
            write_trials(temporary, present)
            os.replace(temporary, folder / f"trials_{start}.npz")
        done += 1
        minutes = (time.monotonic() - started) / 60.0
        print(f"  {done}/{len(missing)} files, {minutes / done * (len(missing) - done):.0f} min to go", flush=True)
        if args.minutes is not None and minutes > args.minutes:
            break
