"""`giga benchmark reconstruction`: IoU and IoU-Grasp of networks that predict geometry (paper, Table II)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.network import Giga
    from giga_sim.reconstruction_benchmark import IouFigures, SceneOverlap

SUMMARY = "how well networks reconstruct held-out scenes: volumetric IoU, and IoU between the fingers (Table II)"
EXAMPLES = """  ./giga benchmark reconstruction                 the shipped weights on $GIGA_DATA/first
  ./giga benchmark reconstruction --model giga.safetensors --model giga-geo.safetensors --json table2.json
  ./giga benchmark reconstruction --scenes 20 --picture shapes.png"""

_PICTURED_OF_A_KIND = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, action="append", help="model file; several make one table (default: the shipped weights)"
    )
    parser.add_argument("--data", type=Path, help="folder of labelled scenes (default: $GIGA_DATA/first)")
    parser.add_argument(
        "--scenes", type=int, default=100, metavar="N", help="held-out scenes of each kind, at most (default 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the depth noise (default 0)")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw some scenes, true and predicted")


def run(args: argparse.Namespace) -> int:
    from giga_bringup.benchmark_result import write_result
    from giga_perception.dataset import DatasetError, default_dataset, open_dataset, read_scene
    from giga_sim.reconstruction_benchmark import held_out_scenes, noisy_tsdf, predicted_occupancy, scene_overlap
    from giga_sim.reconstruction_picture import draw_reconstructions

    if args.scenes < 1 or args.seed < 0:
        raise UserError("--scenes must be at least 1, and --seed not negative")
    models = _models(args.model)
    data = args.data or default_dataset()
    overlaps: dict[str, list[SceneOverlap]] = {name: [] for name in models}
    pictured = []
    try:
        paths = held_out_scenes(open_dataset(data), args.scenes, _show_search)
        started = time.monotonic()
        drawn_of = {"pile": 0, "packed": 0}
        for done, path in enumerate(paths, start=1):
            scene = read_scene(path)
            tsdf = noisy_tsdf(scene, args.seed)
            predicted = {name: predicted_occupancy(model, tsdf) for name, (_, model) in models.items()}
            for name, occupied in predicted.items():
                overlaps[name].append(scene_overlap(occupied, scene))
            if args.picture is not None and drawn_of[scene.scene] < _PICTURED_OF_A_KIND:
                drawn_of[scene.scene] += 1
                pictured.append((f"{scene.scene} {scene.seed}", [scene.occupancy, *predicted.values()]))
            if done % 20 == 0 or done == len(paths):
                left_s = (time.monotonic() - started) / done * (len(paths) - done)
                print(f"  {done}/{len(paths)} scenes, {left_s:.0f} s to go", flush=True)
    except DatasetError as error:
        raise UserError(str(error)) from error

    figures = {name: _figures_by_kind(found) for name, found in overlaps.items()}
    titles = {name: model.description.title for name, (_, model) in models.items()}
    _print_table(figures, titles)
    try:
        if args.picture is not None:
            draw_reconstructions(pictured, ["truth", *models], args.picture)
            print(f"  pictured in {args.picture}")
        if args.json is not None:
            report = {
                "data": "/".join(data.parts[-2:]),
                "split": "val",
                "files": [path.name for path in paths],
                "noise_seed": args.seed,
                "models": {
                    name: {"file": file.name, "kind": titles[name], **_as_json(figures[name])}
                    for name, (file, _) in models.items()
                },
                "scenes": {name: [asdict(overlap) for overlap in found] for name, found in overlaps.items()},
            }
            write_result(args.json, report)
            print(f"  written to {args.json}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename or 'the results'}: {error.strerror or error}") from error
    return 0


def _models(files: Sequence[Path] | None) -> dict[str, tuple[Path, Giga]]:
    """From a name that tells them apart to each model file and its network."""
    from giga_perception.network import Giga
    from giga_perception.weights import ModelFileError, load_model, model_name, model_path

    models: dict[str, tuple[Path, Giga]] = {}
    for path in [model_path(file) for file in files or [None]]:
        try:
            network, card = load_model(path)
        except ModelFileError as error:
            raise UserError(str(error)) from error
        if not isinstance(network, Giga) or not network.has_geometry:
            raise UserError(
                f"{path} is a {network.kind}, which predicts no geometry: name models of kind giga, giga-geo or "
                "giga-detach"
            )
        name = model_name(path, card)
        if name in models:
            name = str(path)
        if name in models:
            raise UserError(f"{path} is named twice: name each model once")
        models[name] = (path, network)
    return models


def _figures_by_kind(overlaps: Sequence[SceneOverlap]) -> dict[str, dict[str, IouFigures]]:
    """From a kind of scene ("both" for all) to its IoU and IoU-Grasp."""
    from giga_sim.reconstruction_benchmark import iou_figures

    parts = {kind: [o for o in overlaps if o.scene == kind] for kind in ("pile", "packed")} | {"both": overlaps}
    return {
        kind: {
            "iou": iou_figures([overlap.whole for overlap in part]),
            "iou_grasp": iou_figures([overlap.between_fingers for overlap in part]),
        }
        for kind, part in parts.items()
        if part
    }


def _print_table(figures: Mapping[str, Mapping[str, Mapping[str, IouFigures]]], titles: Mapping[str, str]) -> None:
    labels = {name: f"{titles[name]} ({name})" for name in figures}
    width = max(len(label) for label in labels.values())
    print("\nIoU in % over held-out scenes: mean of the scenes (95 % interval), and pooled over all their points")
    for kind in next(iter(figures.values())):
        print(f"\n{kind:{width}}   {'IoU':^32}   {'IoU-Grasp':^32}   IoU-Grasp - IoU")
        for name, by_kind in figures.items():
            whole, grasp = by_kind[kind]["iou"], by_kind[kind]["iou_grasp"]
            difference = f"{grasp.mean.percent - whole.mean.percent:+.1f}" if grasp.mean and whole.mean else "-"
            print(f"{labels[name]:{width}}   {_cell(whole)}   {_cell(grasp)}   {difference}")
        scenes = next(by_kind[kind] for by_kind in figures.values())
        print(f"{'':{width}}   {scenes['iou'].scenes} scenes, {scenes['iou_grasp'].scenes} with successful grasps")


def _cell(figures: IouFigures) -> str:
    if figures.mean is None or figures.pooled is None:
        return f"{'-':^32}"
    low, high = figures.mean.interval_percent
    return f"{figures.mean.percent:5.1f} ({low:4.1f} to {high:4.1f}) {figures.pooled.percent:5.1f} pooled"


def _as_json(by_kind: Mapping[str, Mapping[str, IouFigures]]) -> dict[str, dict[str, dict[str, object]]]:
    return {kind: {name: asdict(found) for name, found in parts.items()} for kind, parts in by_kind.items()}


def _show_search(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done % 200 == 0 or done == total):
        end = "\n" if done == total else ""
        print(f"\rlooking for held-out scenes: {done}/{total}", end=end, file=sys.stderr, flush=True)
