"""From the camera's topics and tf to a `DepthView` of the workspace, or to the sentence that says what is missing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from builtin_interfaces.msg import Time as TimeMessage
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.depth_messages import DepthMessageError, camera_from_message, depth_from_message
from giga_perception.depth_topics import DepthFrame, DepthTopics
from giga_perception.transform_messages import transform_from_message
from tf2_ros import Buffer, TransformException

_POLL_S = 0.02
NANOSECONDS_A_SECOND = 1e9


class SceneUnavailableError(Exception):
    """There is no scene to look at, or no way to the frame asked for; the message says why, and what to do."""


@dataclass(frozen=True, eq=False)
class ObservedScene:
    """A depth view of the workspace, and the stamp of its image."""

    view: DepthView
    stamp: TimeMessage


class SceneSource:
    """Turns the newest frame of the camera into a view. Every wait ends on wall time."""

    def __init__(self, topics: DepthTopics, transforms: Buffer, workspace_frame: str) -> None:
        self._topics = topics
        self._transforms = transforms
        self._workspace_frame = workspace_frame
        self._lock = threading.Lock()
        self._last: tuple[DepthFrame, ObservedScene] | None = None

    def newest(self, not_before_ns: int, image_timeout_s: float, transform_timeout_s: float) -> ObservedScene:
        """The newest scene whose image is stamped ``not_before_ns`` or later.

        Raises `SceneUnavailableError` when none comes in time, when it cannot be read, or when tf does not know where
        the camera stands.
        """
        frame = self._topics.wait_for(not_before_ns, image_timeout_s)
        if frame is None:
            raise SceneUnavailableError(self._why_no_frame(not_before_ns, image_timeout_s))
        return self.observe(frame, transform_timeout_s)

    def observe(self, frame: DepthFrame, transform_timeout_s: float) -> ObservedScene:
        """The scene in this frame; raises `SceneUnavailableError` as `newest` does."""
        with self._lock:
            if self._last is not None and self._last[0] is frame:
                return self._last[1]
        image = frame.image
        try:
            depth_m, camera = depth_from_message(image), camera_from_message(frame.camera_info)
        except DepthMessageError as error:
            raise SceneUnavailableError(f"{self._topics.image_topic} cannot be used: {error}") from error
        if (camera.height, camera.width) != depth_m.shape:
            raise SceneUnavailableError(
                f"{self._topics.camera_info_topic} describes {camera.width} x {camera.height} pixels, but the images "
                f"on {self._topics.image_topic} have {depth_m.shape[1]} x {depth_m.shape[0]}: remap both to one camera"
            )
        if not image.header.frame_id:
            raise SceneUnavailableError(
                f"the images on {self._topics.image_topic} have an empty frame_id: set the camera driver's frame"
            )
        T_camera_workspace = self.transform(
            image.header.frame_id, self._workspace_frame, image.header.stamp, transform_timeout_s
        )
        scene = ObservedScene(DepthView(depth_m, camera, T_camera_workspace), image.header.stamp)
        with self._lock:
            self._last = (frame, scene)
        return scene

    def transform(self, target: str, source: str, stamp: TimeMessage, timeout_s: float) -> RigidTransform:
        """T_target_source at the stamp, waited for up to ``timeout_s`` of wall time.

        Raises `SceneUnavailableError` naming both frames.
        """
        if target == source:
            return RigidTransform.identity()
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = self._transforms.lookup_transform(target, source, Time.from_msg(stamp))
                return transform_from_message(found.transform)
            except TransformException as error:
                if time.monotonic() >= deadline:
                    raise SceneUnavailableError(
                        f"no transform from '{source}' to '{target}' at the image's stamp within {timeout_s:g} s "
                        f"({error}): publish it on /tf or /tf_static, or correct the frame's name"
                    ) from error
            except ValueError as error:
                raise SceneUnavailableError(f"the transform from '{source}' to '{target}' is none: {error}") from error
            time.sleep(_POLL_S)

    def _why_no_frame(self, not_before_ns: int, timeout_s: float) -> str:
        newest = self._topics.newest()
        reason = f"no depth image within {timeout_s:g} s: {self._topics.why_silent()}"
        if newest is None:
            return reason
        age_s = (not_before_ns - newest.stamp_ns) / NANOSECONDS_A_SECOND
        return f"{reason} (the newest is stamped {age_s:.2f} s before the request)"
