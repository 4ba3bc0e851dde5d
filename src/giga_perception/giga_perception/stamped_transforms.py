"""Where frames stood at a stamp, from /tf and /tf_static, or the sentence that says what is missing."""

from __future__ import annotations

import time

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform

from giga_perception.observed_scene import SceneUnavailableError
from giga_perception.transform_messages import transform_from_message
from tf2_ros import Buffer, TransformException, TransformListener

# Longer than tf2's own ten seconds: the robot is looked for in the views of a whole window.
_CACHE_S = 25.0

# A transform usually comes within a few milliseconds of its image, or not at all.
_FIRST_POLL_S = 0.001
_LONGEST_POLL_S = 0.02


class StampedTransforms:
    """A listener to tf. Every wait ends on wall time. Safe to use from several threads."""

    def __init__(self, node: Node) -> None:
        """Listen with ``node``, whose executor delivers the transforms."""
        self._buffer = Buffer(Duration(seconds=_CACHE_S))
        self._listener = TransformListener(self._buffer, node)

    def forget(self) -> None:
        """Drop all moving transforms."""
        self._buffer.clear()

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def at(self, target: str, source: str, stamp_ns: int, timeout_s: float) -> RigidTransform:
        """T_target_source at the stamp, waited for up to ``timeout_s`` of wall time.

        Raises `SceneUnavailableError` naming both frames.
        """
        deadline, poll_s = time.monotonic() + timeout_s, _FIRST_POLL_S
        while True:
            try:
                return self._lookup(target, source, stamp_ns)
            except TransformException as error:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0.0:
                    raise SceneUnavailableError(
                        f"no transform from '{source}' to '{target}' at the image's stamp within {timeout_s:g} s "
                        f"({error}): publish it on /tf or /tf_static, or correct the frame's name"
                    ) from error
            except ValueError as error:
                raise SceneUnavailableError(f"the transform from '{source}' to '{target}' is none: {error}") from error
            time.sleep(min(poll_s, remaining_s))
            poll_s = min(2.0 * poll_s, _LONGEST_POLL_S)

    def known(self, target: str, source: str, stamp_ns: int) -> RigidTransform | None:
        """T_target_source at the stamp; None when it is not known, or not yet."""
        try:
            return self._lookup(target, source, stamp_ns)
        except (TransformException, ValueError):
            return None

    def newest_ns(self, target: str, source: str) -> int | None:
        """Stamp of the newest transform between both; 0 when it never changes, None when it is not known."""
        try:
            stamp = self._buffer.lookup_transform(target, source, Time()).header.stamp
        except TransformException:
            return None
        return int(stamp.sec) * 10**9 + int(stamp.nanosec)

    def _lookup(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        if target == source:
            return RigidTransform.identity()
        found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        return transform_from_message(found.transform)
