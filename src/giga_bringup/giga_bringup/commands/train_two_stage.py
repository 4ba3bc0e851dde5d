"""`giga train-two-stage`: teach the baseline detector of GPD's kind."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.two_stage.training import TrainingProgress

SUMMARY = "train the two-stage baseline: hands placed at seen points, each classified by a small CNN"
EXAMPLES = """  ./giga train-two-stage                           ten minutes on $GIGA_DATA/first
  ./giga train-two-stage ~/data/first --minutes 30 --out two_stage.safetensors
  ./giga train-two-stage --steps 2000 --seed 1     the same weights each time"""

DEFAULT_MINUTES = 10.0
_VALIDATION_SCENES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, help="labelled scenes (default: $GIGA_DATA/first)")
    parser.add_argument("--minutes", type=float, help="train so long (default 10, unless --steps is given)")
    parser.add_argument("--steps", type=int, help="train so many steps, at most")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and noise (default 0)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="model file (default: $GIGA_DATA/runs/two-stage.safetensors)"
    )


def run(args: argparse.Namespace) -> int:
    from giga_perception.dataset import DatasetError, data_root, default_dataset, open_dataset, read_scene_header
    from giga_perception.source_commit import source_commit
    from giga_perception.two_stage.model_file import save_classifier
    from giga_perception.two_stage.training import TwoStageTrainingError, train_classifier, validate_classifier

    if (args.minutes is not None and args.minutes <= 0) or (args.steps is not None and args.steps < 1) or args.seed < 0:
        raise UserError("--minutes must be positive, --steps at least 1, --seed not negative")
    minutes = DEFAULT_MINUTES if args.minutes is None and args.steps is None else args.minutes
    out: Path = args.out or data_root() / "runs" / "two-stage.safetensors"
    try:
        dataset = open_dataset(args.folder or default_dataset())
        taught: list[Path] = []
        held_out: list[Path] = []
        for done, path in enumerate(dataset.paths, start=1):
            (held_out if read_scene_header(path)["split"] == "val" else taught).append(path)
            _show_reading(done, len(dataset.paths))
        if not taught:
            raise UserError(f"{dataset.folder} holds no training scenes: run `giga generate` first")
        print(f"{len(taught)} scenes to train on, {len(held_out)} held out", flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        classifier = train_classifier(
            taught,
            steps=args.steps,
            seconds=None if minutes is None else 60.0 * minutes,
            seed=args.seed,
            report=_show_progress,
        )
        card = {
            "name": out.stem,
            "data": "/".join(dataset.folder.parts[-2:]),
            "scenes": str(len(taught)),
            "end": f"{args.steps} steps at most" if minutes is None else f"{minutes:g} minutes at most",
            "seed": str(args.seed),
            "commit": source_commit(),
        }
        if held_out:
            figures = validate_classifier(classifier, held_out[:: max(1, len(held_out) // _VALIDATION_SCENES)])
            card |= {"held_out_auc": f"{figures.auc:.3f}", "held_out_examples": str(figures.examples)}
            print(
                f"{figures.scenes} held-out scenes, {figures.examples} labelled grasps: area under the ROC curve "
                f"{figures.auc:.3f}, balanced accuracy {100.0 * figures.balanced_accuracy:.1f} %"
            )
        save_classifier(out, classifier, card)
    except (DatasetError, TwoStageTrainingError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    print(f"written to {out}")
    return 0


def _show_reading(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done % 200 == 0 or done == total):
        print(f"\rlooking at scenes: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _show_progress(progress: TrainingProgress) -> None:
    of = f"/{progress.steps}" if progress.steps is not None else ""
    print(f"step {progress.step}{of}  loss {progress.loss:.3f}  {progress.elapsed_s / 60.0:.1f} min", flush=True)
