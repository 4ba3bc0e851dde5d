"""`giga data`: what a data set holds, and whether all of it can be read."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from giga_bringup.errors import UserError

SUMMARY = "look at a data set: what it holds (info), whether every file is sound (check)"
EXAMPLES = """  ./giga data info                     of $GIGA_DATA/first
  ./giga data check ~/data/first       reads every file, names the damaged ones; exit status 1 if there are any
  ./giga data info --json info.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "check"), help="what to do")
    parser.add_argument("folder", nargs="?", type=Path, help="the data set (default: $GIGA_DATA/first)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    from giga_perception.dataset import DatasetError, default_dataset, open_dataset

    folder: Path = args.folder or default_dataset()
    try:
        dataset = open_dataset(folder)
    except DatasetError as error:
        raise UserError(str(error)) from error
    figures, damaged = _read_all(dataset.paths, whole=args.action == "check")
    figures["header"] = dataset.header
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {args.json}: {error.strerror or error}") from error
    print(f"{folder}: {figures['scenes']} scenes, {figures['megabytes']:.1f} MB")
    for kind, count in figures["kinds"].items():
        print(f"  {kind}: {count} scenes")
    for split, count in figures["splits"].items():
        print(f"  split {split}: {count} scenes")
    points, successes = figures["labelled_points"], figures["successes"]
    print(f"  {points} labelled points, {successes} successes ({100 * successes / max(1, points):.1f} %)")
    print(f"  {figures['objects']} different objects")
    for key, value in dataset.header.items():
        print(f"  {key}: {value if isinstance(value, str) else json.dumps(value)}")
    for sentence in damaged:
        print(f"giga: {sentence}", file=sys.stderr)
    if args.action == "check":
        print("every file is sound" if not damaged else f"{len(damaged)} damaged files")
    return 1 if damaged else 0


def _read_all(paths: tuple[Path, ...], whole: bool) -> tuple[dict[str, Any], list[str]]:
    """Figures over all sound files, and a sentence for each damaged one. `whole` decodes everything in a file."""
    from giga_perception.dataset import DatasetError, read_scene, read_scene_header

    kinds: dict[str, int] = {}
    splits: dict[str, int] = {}
    objects: set[str] = set()
    damaged: list[str] = []
    scenes = points = successes = size = 0
    for done, path in enumerate(paths, start=1):
        try:
            if whole:
                read_scene(path)
            header = read_scene_header(path)
        except DatasetError as error:
            damaged.append(str(error))
            continue
        scenes += 1
        size += path.stat().st_size
        kinds[header["scene"]] = kinds.get(header["scene"], 0) + 1
        splits[header["split"]] = splits.get(header["split"], 0) + 1
        objects.update(header["object_names"])
        points += header["labels"]
        successes += header["successes"]
        if sys.stderr.isatty() and (done % 100 == 0 or done == len(paths)):
            print(f"\rreading {done}/{len(paths)}", end="\n" if done == len(paths) else "", file=sys.stderr, flush=True)
    figures = {
        "scenes": scenes,
        "megabytes": size / 1e6,
        "kinds": kinds,
        "splits": splits,
        "labelled_points": points,
        "successes": successes,
        "objects": len(objects),
        "damaged": len(damaged),
    }
    return figures, damaged
