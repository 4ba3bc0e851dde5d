"""The demo from start to end: start the nodes, clear scene after scene, print, write the figures and the picture."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from giga_bringup.demo_picture import write_picture
from giga_bringup.demo_session import DemoSession
from giga_bringup.demo_summary import Attempt, Round, Summary, attempt_line, round_line, summary_text, write_json
from giga_bringup.launched_stack import LaunchedStack

# In a checkout; an installed stack comes with the ros2 command instead.
CLIENT = Path(__file__).resolve().parents[3] / "examples" / "detect_client.py"


@dataclass(frozen=True)
class DemoRequest:
    """What the user asked for; the options of `giga demo`."""

    scene: str
    objects: int
    seed: int
    rounds: int
    gui: bool
    json: Path | None
    picture: Path


def run_demo(request: DemoRequest, domain: int, log: Path) -> Summary:
    """Run it in this process's ROS domain, with the nodes' output in `log`.

    Raises UserError for whatever keeps it from going on; all processes have ended when this returns or raises.
    """
    _say(f"ROS domain {domain}. The nodes' output goes to {log}")
    _say("Starting the simulated cell, detection, planning and execution ...")
    arguments = {
        "scene": request.scene,
        "objects": str(request.objects),
        "seed": str(request.seed),
        "gui": str(request.gui).lower(),
    }
    rounds: list[Round] = []
    first_scene = None
    picked: list[Any] = []  # the grasps that lifted something in the first scene
    with LaunchedStack("sim", arguments, log) as stack, DemoSession(stack) as session:
        session.wait_until_ready()
        _say(f"Ready. To call the grasp service from another terminal, here:\n  {_client_line()}")

        def on_attempt(attempt: Attempt, grasp: Any) -> None:
            _say(attempt_line(attempt))
            if attempt.success and not rounds:
                picked.append(grasp)

        for seed in range(request.seed, request.seed + request.rounds):
            objects, since = session.reset_scene(request.scene, request.objects, seed)
            if first_scene is None:
                first_scene = session.record_scene(since)
                session.require_detection()
            names = f": {', '.join(objects)}" if objects else ""
            _say(f"Round {len(rounds) + 1} of {request.rounds}, seed {seed}, {len(objects)} objects{names}")
            rounds.append(session.clear_table(seed, objects, on_attempt))
            _say(round_line(rounds[-1]))
            summary = Summary(request.scene, session.model, tuple(rounds))
            if request.json is not None:  # after every round, so that an end half-way leaves what there is
                write_json(request.json, summary)
    _say(f"Summary\n{summary_text(summary)}")
    if request.json is not None:
        _say(f"Figures: {request.json}")
    assert first_scene is not None, "there is at least one round"
    title = f"{request.scene} scene of seed {request.seed}: {rounds[0].successes} of {len(rounds[0].objects)} picked"
    write_picture(request.picture, first_scene, picked, title)
    _say(f"Picture of the first scene: {request.picture}")
    return summary


def _say(text: str) -> None:
    print(text, flush=True)


def _client_line() -> str:
    """The command with which another terminal of this machine gets grasps from the running nodes."""
    names = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    settings = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    if CLIENT.is_file():
        return " ".join([*settings, *map(_from_here, (Path(sys.executable), CLIENT))])
    call = "ros2 service call /perception_node/detect_grasps giga_msgs/srv/DetectGrasps '{frame_id: panda_link0}'"
    return " ".join([*settings, call])


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
