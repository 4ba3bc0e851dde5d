"""`giga benchmark NAME`: runs benchmarks/NAME.py of the checkout."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

from giga_bringup.checkout import repository
from giga_bringup.errors import UserError

SUMMARY = "measure something: prints a table, and --json FILE keeps it"
EXAMPLES = """  ./giga benchmark                  list the benchmarks
  ./giga benchmark clutter --help   the options of one
  ./giga benchmark clutter --scene pile --rounds 20 --json pile.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="which benchmark; none lists them")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the benchmark's own options")


def run(args: argparse.Namespace) -> int:
    folder = repository() / "benchmarks"
    files = {file.stem.replace("_", "-"): file for file in folder.glob("*.py") if not file.stem.startswith("_")}
    names = sorted(files)
    if args.name is None:
        for name in names:
            print(f"{name:16} {_load(files[name]).SUMMARY}")
        return 0
    if args.name not in names:
        raise UserError(f"no benchmark is called '{args.name}'; there are: {', '.join(names)}")
    module = _load(files[args.name])
    parser = argparse.ArgumentParser(
        prog=f"giga benchmark {args.name}",
        description=module.SUMMARY,
        epilog=f"examples:\n{module.EXAMPLES.rstrip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    status: int = module.run(parser.parse_args(args.arguments))
    return status


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"giga_benchmark_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"{file} cannot be loaded as a benchmark")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
