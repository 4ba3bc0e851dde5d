"""`giga data`: what a data set holds, how it looks, and whether all of it can be read."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception.dataset import SceneDataset

SUMMARY = "look at a data set: what it holds (info), whether every file is sound (check)"
EXAMPLES = """  ./giga data info                     of $GIGA_DATA/first
  ./giga data info --picture data.png  also draw a few scenes: depth, labels, occupancy
  ./giga data check ~/data/first       reads every file, names the damaged ones; exit status 1 if there are any
  ./giga data info --json info.json"""

OTHER_OBJECTS = "of other sets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "check"), help="what to do")
    parser.add_argument("folder", nargs="?", type=Path, help="the data set (default: $GIGA_DATA/first)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw some scenes, evenly chosen")
    parser.add_argument("--pictured", type=int, default=4, metavar="N", help="how many scenes it shows (default 4)")


def run(args: argparse.Namespace) -> int:
    from giga_perception.dataset import DatasetError, default_dataset, open_dataset

    if args.pictured < 1:
        raise UserError("--pictured must be at least 1")
    folder: Path = args.folder or default_dataset()
    try:
        dataset = open_dataset(folder)
    except DatasetError as error:
        raise UserError(str(error)) from error
    figures, damaged = _read_all(dataset, whole=args.action == "check")
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {args.json}: {error.strerror or error}") from error
    _print_figures(folder, figures)
    if args.picture is not None:
        _draw(dataset, args.picture, args.pictured)
    for sentence in damaged:
        print(f"giga: {sentence}", file=sys.stderr)
    if args.action == "check":
        print("every file is sound" if not damaged else f"{len(damaged)} damaged files")
    return 1 if damaged else 0


def _print_figures(folder: Path, figures: dict[str, Any]) -> None:
    scenes = figures["scenes"]
    print(f"{folder}: {scenes} scenes, {figures['megabytes']:.1f} MB ({figures['kilobytes_a_scene']:.1f} KB a scene)")
    for kind, splits in figures["kinds_by_split"].items():
        told = ", ".join(f"{count} {split}" for split, count in splits.items())
        print(f"  {kind}: {figures['kinds'][kind]} scenes ({told})")
    for views, count in figures["scenes_by_views"].items():
        print(
            f"  {count} scenes with {'the side view only' if views == '1' else f'{views} views, the side view first'}"
        )
    points, successes = figures["labelled_points"], figures["successes"]
    print(f"  {points} labelled points, {successes} successes ({100 * successes / max(1, points):.1f} %)")
    told = ", ".join(f"{count} in {split}" for split, count in figures["objects_by_split"].items())
    print(f"  {figures['objects']} different objects ({told})")
    for split, kinds in figures["object_kinds_by_split"].items():
        print(f"  objects of {split}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    if figures["leftover_files"]:
        print(
            f"  {figures['leftover_files']} temporary files (.*.tmp) of killed writers, harmless; they may be deleted"
        )
    for key, value in figures["header"].items():
        print(f"  {key}: {value if isinstance(value, str) else json.dumps(value)}")


def _draw(dataset: SceneDataset, picture: Path, count: int) -> None:
    from giga_perception.dataset import DatasetError
    from giga_perception.dataset_picture import draw_scenes

    count = min(count, len(dataset))
    if not count:
        raise UserError(f"{dataset.folder} holds no scene to draw; run `giga generate` first")
    try:
        scenes = [dataset[len(dataset) * index // count] for index in range(count)]
        draw_scenes(scenes, picture, title=f"{dataset.folder.name}: {count} of {len(dataset)} scenes")
    except DatasetError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot write {picture}: {error.strerror or error}") from error
    print(f"picture written to {picture}")


def _read_all(dataset: SceneDataset, whole: bool) -> tuple[dict[str, Any], list[str]]:
    """Figures over all sound files, and a sentence for each damaged one. `whole` decodes everything in a file."""
    from giga_perception.dataset import (
        DatasetError,
        leftover_files,
        misplaced_scene,
        read_scene,
        read_scene_header,
    )
    from giga_sim.parametric_objects import parametric_kind

    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    objects: defaultdict[str, set[str]] = defaultdict(set)
    views: Counter[int] = Counter()
    damaged: list[str] = []
    points = successes = size = 0
    for done, path in enumerate(dataset.paths, start=1):
        if sys.stderr.isatty() and (done % 100 == 0 or done == len(dataset)):
            end = "\n" if done == len(dataset) else ""
            print(f"\rreading {done}/{len(dataset)}", end=end, file=sys.stderr, flush=True)
        try:
            if whole:
                read_scene(path)
            header = read_scene_header(path)
        except DatasetError as error:
            damaged.append(str(error))
            continue
        if sentence := misplaced_scene(path, header):
            damaged.append(sentence)
            continue
        size += path.stat().st_size
        kinds[header["scene"]][header["split"]] += 1
        objects[header["split"]].update(header["object_names"])
        views[header.get("views", 1)] += 1
        points += header["labels"]
        successes += header["successes"]
    scenes = sum(views.values())
    object_kinds = {
        split: Counter(parametric_kind(name) or OTHER_OBJECTS for name in sorted(names))
        for split, names in sorted(objects.items())
    }
    figures = {
        "scenes": scenes,
        "megabytes": size / 1e6,
        "kilobytes_a_scene": size / 1e3 / max(1, scenes),
        "kinds": {kind: splits.total() for kind, splits in sorted(kinds.items())},
        "splits": dict(sum(kinds.values(), Counter())),
        "kinds_by_split": {kind: dict(sorted(splits.items())) for kind, splits in sorted(kinds.items())},
        "scenes_by_views": {str(count): number for count, number in sorted(views.items())},
        "labelled_points": points,
        "successes": successes,
        "objects": len(set().union(*objects.values())),
        "objects_by_split": {split: len(names) for split, names in sorted(objects.items())},
        "object_kinds_by_split": {split: dict(sorted(counts.items())) for split, counts in object_kinds.items()},
        "leftover_files": len(leftover_files(dataset.folder)),
        "damaged": len(damaged),
        "header": dataset.header,
    }
    return figures, damaged
