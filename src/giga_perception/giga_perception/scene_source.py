"""From the cameras' topics and tf to the views that are fused, or to the sentence that says what is missing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from giga_perception.depth_topics import DepthFrame, DepthTopics
from giga_perception.observed_scene import ObservedScene, SceneUnavailableError
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.robot_mask import hidden_share
from giga_perception.robot_topics import RobotTopics
from giga_perception.seen_frame import SeenFrame
from giga_perception.stamped_transforms import StampedTransforms
from giga_perception.view_history import PlacedItem, ViewHistory

_NANOSECONDS = 1e9

# Images of a window that still wait for their transforms; tf is seldom later than this many images.
_MOST_UNPLACED = 8


class _Camera:
    """One camera: its topics, and what is kept of its images."""

    def __init__(self, topics: DepthTopics) -> None:
        self.topics = topics
        self.lock = threading.Lock()
        self.newest: SeenFrame | None = None
        self.history: ViewHistory[SeenFrame] = ViewHistory()
        self.unplaced: deque[DepthFrame] = deque(maxlen=_MOST_UNPLACED)


class SceneSource:
    """Turns the frames of all cameras into a scene. Safe to use from several threads; every wait ends on wall time."""

    def __init__(
        self,
        node: Node,
        group: CallbackGroup,
        parameters: Callable[[], PerceptionParameters],
        transforms: StampedTransforms,
        robot: RobotTopics,
        on_frame: Callable[[], None],
    ) -> None:
        """Subscribe with ``node`` to the cameras; ``on_frame`` is called, in the image's thread, after each image."""
        self._parameters = parameters
        self._transforms = transforms
        self._robot = robot
        self._on_frame = on_frame
        settings = parameters()
        self._cameras: list[_Camera] = []
        for index, prefix in enumerate(settings.cameras):
            topics = DepthTopics(node, group, prefix, settings.transport, partial(self._arrived, index))
            self._cameras.append(_Camera(topics))

    @property
    def topics(self) -> list[DepthTopics]:
        """Those of each camera, in the order of the parameter ``cameras``."""
        return [camera.topics for camera in self._cameras]

    def newest(self, not_before_ns: int) -> ObservedScene:
        """The newest scene in which every camera's image is stamped ``not_before_ns`` or later.

        Raises `SceneUnavailableError` when a camera's does not come in time, when one cannot be read, or when tf does
        not know where a camera stood.
        """
        return self._newest(not_before_ns, self._parameters().fresh_image_timeout_s)

    def at_hand(self) -> ObservedScene:
        """The newest scene without waiting for any image; raises as `newest` does."""
        return self._newest(0, 0.0)

    def forget(self) -> None:
        """Drop all that was seen: the clock was set back."""
        for camera in self._cameras:
            camera.topics.forget()
            with camera.lock:
                camera.newest = None
                camera.history.clear()
                camera.unplaced.clear()

    def close(self) -> None:
        """Unsubscribe from all cameras, and end all waiting."""
        for camera in self._cameras:
            camera.topics.close()

    def _newest(self, not_before_ns: int, timeout_s: float) -> ObservedScene:
        settings = self._parameters()
        deadline = time.monotonic() + timeout_s
        frames = []
        for camera in self._cameras:
            frame = camera.topics.wait_for(not_before_ns, max(0.0, deadline - time.monotonic()))
            if frame is None:
                raise SceneUnavailableError(_why_no_frame(camera.topics, not_before_ns, timeout_s))
            frames.append(frame)
        self._check_lag(frames, settings.max_camera_lag_s)
        seen = [self._placed(*pair, settings) for pair in zip(self._cameras, frames, strict=True)]
        stamp_ns = max(frame.stamp_ns for frame in frames)
        if settings.fusion == "window":
            seen = [
                view.item
                for camera, newest in zip(self._cameras, seen, strict=True)
                for view in self._window(camera, newest, stamp_ns, settings)
            ]
            seen.sort(key=lambda each: each.stamp_ns)
        return self._scene(seen, stamp_ns, settings)

    def _arrived(self, index: int, frame: DepthFrame) -> None:
        camera, settings = self._cameras[index], self._parameters()
        with camera.lock:
            if frame.after_reset or settings.fusion != "window":
                camera.history.clear()
                camera.unplaced.clear()
            if settings.fusion == "window":
                camera.unplaced.append(frame)
                self._place_what_waits(camera, settings)
        self._on_frame()

    def _placed(self, camera: _Camera, frame: DepthFrame, settings: PerceptionParameters) -> SeenFrame:
        """The frame and where its camera stood; waits for the transform."""
        with camera.lock:
            if camera.newest is not None and camera.newest.frame is frame:
                return camera.newest
        frame_id = self._frame_id(camera, frame)
        T_camera_workspace = self._transforms.at(
            frame_id, settings.workspace_frame, frame.stamp_ns, settings.transform_timeout_s
        )
        with camera.lock:
            if camera.newest is None or camera.newest.frame is not frame:
                camera.newest = SeenFrame(camera.topics, frame, T_camera_workspace)
            return camera.newest

    def _window(
        self, camera: _Camera, newest: SeenFrame, stamp_ns: int, settings: PerceptionParameters
    ) -> list[PlacedItem[SeenFrame]]:
        with camera.lock:
            self._place_what_waits(camera, settings)
            placed = PlacedItem(newest, newest.stamp_ns, newest.T_camera_workspace)
            camera.history.add(placed, settings.window_views)
            return camera.history.within(settings.window_s, stamp_ns)

    def _place_what_waits(self, camera: _Camera, settings: PerceptionParameters) -> None:
        """Take into the history what tf has caught up with; the rest waits for the next image. The lock is held."""
        still_waiting = []
        for frame in camera.unplaced:
            T = self._transforms.known(frame.image.header.frame_id, settings.workspace_frame, frame.stamp_ns)
            if T is None:
                still_waiting.append(frame)
                continue
            placed = PlacedItem(SeenFrame(camera.topics, frame, T), frame.stamp_ns, T)
            camera.history.add(placed, settings.window_views)
        camera.unplaced.clear()
        camera.unplaced.extend(still_waiting)

    def _scene(self, seen: list[SeenFrame], stamp_ns: int, settings: PerceptionParameters) -> ObservedScene:
        """All views without the robot; cameras that look elsewhere are left out as long as one sees the workspace."""
        robot = None
        if settings.robot_filter == "auto":
            self._robot.wait_for_description(settings.transform_timeout_s)
            robot = self._robot if self._robot.is_known else None
        unseeing = {each.image_topic: sentence for each in seen if (sentence := each.why_unseeing(settings))}
        views, arms = [], []
        for each in seen:
            if each.why_unseeing(settings):
                continue
            view, arm = each.view(settings, robot)
            views.append(view)
            if arm is not None:
                arms.append(arm)
        if not views:
            raise SceneUnavailableError("; ".join(unseeing.values()))
        missing = [robot.missing] if robot is not None and robot.missing else []
        return ObservedScene(
            tuple(views), stamp_ns, hidden_share(arms) if arms else -1.0, (*unseeing.values(), *missing)
        )

    @staticmethod
    def _frame_id(camera: _Camera, frame: DepthFrame) -> str:
        frame_id = str(frame.image.header.frame_id)
        if not frame_id:
            raise SceneUnavailableError(
                f"the images on {camera.topics.image_topic} have an empty frame_id: set the camera driver's frame"
            )
        return frame_id

    def _check_lag(self, frames: list[DepthFrame], max_lag_s: float) -> None:
        newest_ns = max(frame.stamp_ns for frame in frames)
        for camera, frame in zip(self._cameras, frames, strict=True):
            lag_s = (newest_ns - frame.stamp_ns) / _NANOSECONDS
            if 0.0 < max_lag_s < lag_s:
                raise SceneUnavailableError(
                    f"the newest image on {camera.topics.image_topic} is {lag_s:.2f} s older than another camera's: "
                    "start that camera, take it out of the parameter 'cameras', or raise 'max_camera_lag_s'"
                )


def _why_no_frame(topics: DepthTopics, not_before_ns: int, timeout_s: float) -> str:
    if topics.is_closed:
        return "perception_node was deactivated while this call waited for an image: activate it, then call again"
    reason = f"no depth image within {timeout_s:g} s: {topics.why_silent()}"
    newest = topics.newest()
    if newest is None:
        return reason
    age_s = (not_before_ns - newest.stamp_ns) / _NANOSECONDS
    return f"{reason} (the newest is stamped {age_s:.2f} s before the request)"
