"""The demo's picture: what the library's detector sees in the first scene, and what became of its grasps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_bringup.scene_recorder import RecordedScene


@dataclass(frozen=True)
class TriedGrasp:
    """A grasp that the executor carried out (giga_msgs/msg/Grasp in the workspace frame), and whether it lifted."""

    grasp: Any
    success: bool


def write_picture(path: Path, scene: RecordedScene, tried: list[TriedGrasp]) -> None:
    """Detect in exactly the recorded image and draw it. Raises UserError when that is impossible."""

    from giga_perception.camera import DepthView
    from giga_perception.depth_messages import DepthMessageError, camera_from_message, depth_from_message
    from giga_perception.detection import GraspDetector
    from giga_perception.weights import ModelFileError

    try:
        depth_m, camera = depth_from_message(scene.image), camera_from_message(scene.camera_info)
        detector = GraspDetector.from_file()
    except (DepthMessageError, ModelFileError) as error:
        raise UserError(f"no picture could be made: {error}") from None
    view = DepthView(depth_m, camera, scene.T_camera_workspace)
    detection = detector.detect([view])
