"""The demo's picture: what the detector sees in the first scene, and the grasps that picked something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_bringup.scene_recorder import RecordedScene


def write_picture(path: Path, scene: RecordedScene, picked: Sequence[Any], title: str) -> None:
    """Detect in exactly the recorded image and draw it.

    picked: giga_msgs/msg/Grasp in the robot's base frame. Raises UserError when no picture can be made.
    """
    from scipy.spatial.transform import RigidTransform, Rotation

    from giga_perception.camera import DepthView
    from giga_perception.depth_messages import DepthMessageError, camera_from_message, depth_from_message
    from giga_perception.detection import GraspDetector
    from giga_perception.grasp import Grasp
    from giga_perception.picture import draw_detection
    from giga_perception.weights import ModelFileError

    def grasp_of(message: Any) -> Grasp:
        p, q = message.pose.position, message.pose.orientation
        rotation = Rotation.from_quat([q.x, q.y, q.z, q.w])
        T_base_tcp = RigidTransform.from_components([p.x, p.y, p.z], rotation)
        return Grasp(scene.T_workspace_base * T_base_tcp, message.width_m, message.quality)

    try:
        depth_m, camera = depth_from_message(scene.image), camera_from_message(scene.camera_info)
        view = DepthView(depth_m, camera, scene.T_camera_workspace)
        detector = GraspDetector.from_file()
        detector.detect([view])  # sets torch up: the times of a first detection would mislead
        detection = detector.detect([view])
        draw_detection(detection, view, path, picked=[grasp_of(message) for message in picked], title=title)
    except (DepthMessageError, ModelFileError, OSError) as error:
        raise UserError(f"the picture {path} could not be made: {error}") from None
