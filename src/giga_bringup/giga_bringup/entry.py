"""From `./giga` to the verb: help answers at once, everything else runs inside the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from giga_bringup import command_line, wheel_environment
from giga_bringup.errors import UserError

# Verbs that must answer on a machine where the environment cannot be made.
WITHOUT_ENVIRONMENT = ("doctor",)


def enter(repository: Path, arguments: Sequence[str]) -> int:
    """Run `giga` from a checkout: set up `.venv` when the verb needs it, continue in it, return the exit status."""
    verb = next((word for word in arguments if not word.startswith("-")), None)
    wants_help = verb is None or "-h" in arguments or "--help" in arguments
    os.environ["GIGA_REPOSITORY"] = str(repository)
    if wants_help or verb in WITHOUT_ENVIRONMENT or verb not in command_line.verb_names():
        return command_line.main(arguments)
    try:
        python = wheel_environment.ensure(repository, for_tests=verb == "test")
    except UserError as error:
        print(f"giga: {error}", file=sys.stderr)
        return command_line.EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("\ngiga: set-up interrupted; the next run continues where this one stopped", file=sys.stderr)
        return command_line.EXIT_INTERRUPTED
    sys.stdout.flush()
    os.execve(python, [str(python), "-m", "giga_bringup", *arguments], wheel_environment.environment_of(repository))
