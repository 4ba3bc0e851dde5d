"""Finds the verb, parses its arguments, runs it, and turns errors into one sentence.

Importing this module imports no verb, and no verb imports anything heavy before it runs: `giga --help` answers at once.
Runs on any Python from 3.8 on, because `giga` shows its help before the environment exists.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from giga_bringup import commands
from giga_bringup.errors import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

DESCRIPTION = "6-DoF grasp detection for the Franka Panda: from a depth image to a lifted object."
EPILOG = """examples:
  ./giga demo                     clear a simulated table with the mock Panda
  ./giga detect depth.png --intrinsics K.json --extrinsics T.json
  ./giga test                     run the tests
  ./giga VERB --help              all of a verb's options, with examples

The first run sets up .venv beside this script; GIGA_DATA says where data sets go (default ~/.cache/giga)."""


def verb_names() -> list[str]:
    """All verbs, as the user types them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))


def load_verb(name: str) -> ModuleType:
    """The module of a verb."""
    return importlib.import_module("giga_bringup.commands." + name.replace("-", "_"))


def build_parser(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of `giga` with the given verbs: all of them for its help, one for a run."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="giga", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in verbs:
        module = load_verb(name)
        verb_parser = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"examples:\n{module.EXAMPLES.rstrip()}",
            formatter_class=formatter,
        )
        module.add_arguments(verb_parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run `giga` with these arguments (without the program's name); return the exit status."""
    known = verb_names()
    verb = next((word for word in arguments if not word.startswith("-")), None)
    args = build_parser([verb] if verb in known else known).parse_args(arguments)
    try:
        status: int = load_verb(args.verb).run(args)
    except UserError as error:
        print(f"giga: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"giga: {args.verb} interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `giga ... | head` does
        sys.stderr.close()
        return 0
    return status
