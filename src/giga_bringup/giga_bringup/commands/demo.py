"""`giga demo`: the pick loop from a depth image to a lifted object, on a simulated cell."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from giga_bringup.errors import UserError

SUMMARY = "clear a simulated table with the mock Panda, over the real ROS interfaces"
EXAMPLES = """  ./giga demo                                 one scene of five objects
  ./giga demo --scene pile --seed 7 --rounds 3
  ./giga demo --rounds 20 --json result.json
  ./giga demo --gui                           with the simulator's window
"""

SCENES = ("packed", "pile")
PICTURE = Path("giga_demo.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scene", choices=SCENES, default=SCENES[0], help="objects standing apart, or in a heap")
    parser.add_argument("--objects", type=_count, default=5, metavar="N", help="objects in a scene (default 5)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the first round (default 1)")
    parser.add_argument("--rounds", type=_count, default=1, metavar="N", help="scenes to clear (default 1)")
    parser.add_argument("--gui", action="store_true", help="open the simulator's window")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", default=PICTURE, help=f"where the picture goes (default {PICTURE})"
    )
    parser.add_argument(
        "--domain-id", type=int, metavar="ID", help="ROS domain (default: ROS_DOMAIN_ID, else one that nobody uses)"
    )


def run(args: argparse.Namespace) -> int:
    for path in (args.json, args.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{path} cannot be written: its folder does not exist")
    if args.gui and not os.environ.get("DISPLAY"):
        raise UserError("--gui wants a display, and DISPLAY is not set: run it in a desktop session, or without --gui")

    from giga_bringup.demo import DemoRequest, run_demo
    from giga_bringup.ros_domain import session_domain

    logs = Path(tempfile.mkdtemp(prefix="giga-demo-"))
    os.environ["ROS_LOG_DIR"] = str(logs)
    request = DemoRequest(args.scene, args.objects, args.seed, args.rounds, args.gui, args.json, args.picture)
    with session_domain(args.domain_id) as domain:
        run_demo(request, domain, logs / "nodes.log")
    return 0


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)
