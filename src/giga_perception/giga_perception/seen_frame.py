"""One camera's image at the place it was taken from, read into a depth view when it is asked for."""

from __future__ import annotations

import threading

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.depth_messages import DepthMessageError, depth_view_from_messages, is_rectified_topic
from giga_perception.depth_topics import DepthFrame, DepthTopics
from giga_perception.observed_scene import SceneUnavailableError
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.robot_mask import ArmInView
from giga_perception.robot_topics import RobotTopics
from giga_perception.tsdf import MAX_DEPTH_M
from giga_perception.workspace_visibility import why_workspace_unseen


class SeenFrame:
    """A frame and T_camera_workspace at its stamp. What is worked out is kept. Safe to use from several threads."""

    def __init__(self, topics: DepthTopics, frame: DepthFrame, T_camera_workspace: RigidTransform) -> None:
        self.frame = frame
        self.T_camera_workspace = T_camera_workspace
        self._topics = topics
        self._lock = threading.Lock()
        self._as_read: DepthView | None = None
        self._unseen: str | None = None
        self._made: tuple[object, DepthView, ArmInView | None] | None = None

    @property
    def stamp_ns(self) -> int:
        """The image's stamp."""
        return self.frame.stamp_ns

    @property
    def image_topic(self) -> str:
        """Where the image came from."""
        return self._topics.image_topic

    def why_unseeing(self, settings: PerceptionParameters) -> str:
        """A sentence when no part of the workspace falls on the image; else empty."""
        with self._lock:
            if self._unseen is None:
                view = self._read(settings)
                self._unseen = why_workspace_unseen(view.camera, view.T_camera_workspace) or ""
        if not self._unseen:
            return ""
        return (
            f"the whole workspace lies {self._unseen} on {self.image_topic}: correct the transform from "
            f"'{settings.workspace_frame}' to '{self.frame.image.header.frame_id}', or turn the camera"
        )

    def view(self, settings: PerceptionParameters, robot: RobotTopics | None) -> tuple[DepthView, ArmInView | None]:
        """The view to fuse: depths in range, the robot's pixels without a reading; and where the robot was found.

        Raises `SceneUnavailableError` when image or camera info cannot be used.
        """
        asked = (settings.min_depth_m, settings.max_depth_m, robot)
        with self._lock:
            if self._made is None or self._made[0] != asked:
                view = _in_range(self._read(settings), settings.min_depth_m, settings.max_depth_m)
                frame_id = self.frame.image.header.frame_id
                arm = None if robot is None else robot.find(view, frame_id, self.stamp_ns, settings.transform_timeout_s)
                self._made = (asked, view if arm is None else arm.remaining, arm)
            return self._made[1:]

    def _read(self, settings: PerceptionParameters) -> DepthView:
        if self._as_read is None:
            topic = self.image_topic
            rectified = is_rectified_topic(topic) if settings.rectified == "auto" else settings.rectified == "yes"
            try:
                depth_m, camera = depth_view_from_messages(self.frame.image, self.frame.camera_info, rectified)
            except DepthMessageError as error:
                raise SceneUnavailableError(
                    f"{topic} with {self._topics.camera_info_topic} cannot be used: {error}"
                ) from error
            self._as_read = DepthView(depth_m, camera, self.T_camera_workspace)
        return self._as_read


def _in_range(view: DepthView, min_depth_m: float, max_depth_m: float) -> DepthView:
    """The view without readings nearer than the one, or at the other and beyond."""
    if min_depth_m <= 0.0 and max_depth_m >= MAX_DEPTH_M:
        return view
    outside = (view.depth_m < min_depth_m) | (view.depth_m >= max_depth_m)
    depth_m = np.where(outside, np.float32(0.0), view.depth_m)
    return DepthView(depth_m, view.camera, view.T_camera_workspace)
