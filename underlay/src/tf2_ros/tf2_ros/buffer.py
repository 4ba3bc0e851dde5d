"""`Buffer`: tf2's transform buffer with ROS messages, times and timeouts."""

from __future__ import annotations

import time as wall_time
from typing import NoReturn, TypeAlias

import builtin_interfaces.msg
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpHandle, JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.service import Service
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform
from tf2_msgs.srv import FrameGraph

from tf2_ros.exceptions import TransformException
from tf2_ros.frame_history import Sample
from tf2_ros.frame_tree import FrameTree

DEFAULT_CACHE_TIME = Duration(seconds=10.0)
# How often a lookup with a timeout tries again, as in the real buffer.
POLL_S = 0.02
NO_WAIT = Duration()

_Time: TypeAlias = Time | builtin_interfaces.msg.Time


class Buffer:
    """Transforms of the last ten seconds, and the static ones.

    A timeout runs on wall time and blocks the calling thread: somebody else must spin the node of the listener.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._tree = FrameTree((cache_time or DEFAULT_CACHE_TIME).nanoseconds)
        self._jump_handles: list[JumpHandle] = []
        self._frames_service: Service | None = None
        if node is not None:
            self.clear_on_jump_back(node.get_clock())
            self._frames_service = node.create_service(FrameGraph, "tf2_frames", self._answer_frames)

    def clear_on_jump_back(self, clock: Clock) -> None:
        """Forget moving transforms when `clock` is set back (a simulation reset): their stamps lie in its future."""
        threshold = JumpThreshold(
            min_forward=None,
            min_backward=Duration(nanoseconds=-1),
            on_clock_change=False,
        )
        self._jump_handles.append(clock.create_jump_callback(threshold, post_callback=lambda jump: self.clear()))

    def stop_clearing(self) -> None:
        """Undo `clear_on_jump_back`. rclpy keeps a bare pointer, so a handle must not go while it is registered."""
        while self._jump_handles:
            self._jump_handles.pop().unregister()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Keep a moving transform."""
        self._insert(transform, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Keep a transform that holds for ever."""
        self._insert(transform, is_static=True)

    def clear(self) -> None:
        """Forget every moving transform."""
        self._tree.clear()

    def all_frames_as_yaml(self) -> str:
        """Every frame with its parent."""
        return self._tree.frames_as_yaml()

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: _Time,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """The transform that maps coordinates in `source_frame` to `target_frame` at `time` (0 = latest common).

        Raises LookupException, ConnectivityException, ExtrapolationException or InvalidArgumentException, at the
        latest when `timeout` has passed.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        transform, stamp_ns = self._tree.lookup(target_frame, source_frame, _nanoseconds(time))
        return _to_message(transform, stamp_ns, target_frame, source_frame)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: _Time,
        source_frame: str,
        source_time: _Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """The same between two times, by way of `fixed_frame`, which is taken not to move between them."""
        self.can_transform(fixed_frame, source_frame, source_time, timeout)
        self.can_transform(target_frame, fixed_frame, target_time, timeout)
        T_fixed_source, _ = self._tree.lookup(fixed_frame, source_frame, _nanoseconds(source_time))
        T_target_fixed, stamp_ns = self._tree.lookup(target_frame, fixed_frame, _nanoseconds(target_time))
        return _to_message(T_target_fixed * T_fixed_source, stamp_ns, target_frame, source_frame)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: _Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether `lookup_transform` would answer within `timeout`; with `return_debug_tuple` also why not."""
        deadline = wall_time.monotonic() + timeout.nanoseconds / 1e9
        while True:
            why_not = self._why_not(target_frame, source_frame, time)
            remaining_s = deadline - wall_time.monotonic()
            if not why_not or remaining_s <= 0.0:
                break
            wall_time.sleep(min(POLL_S, remaining_s))
        return (not why_not, why_not) if return_debug_tuple else not why_not

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"tf2_ros.Buffer here is a stand-in and has no `{name}`; see its module for what it offers"
        )

    def _why_not(self, target_frame: str, source_frame: str, time: _Time) -> str:
        try:
            self._tree.lookup(target_frame, source_frame, _nanoseconds(time))
        except TransformException as error:
            return str(error) or type(error).__name__
        return ""

    def _insert(self, message: TransformStamped, *, is_static: bool) -> None:
        stamp, t, r = (
            message.header.stamp,
            message.transform.translation,
            message.transform.rotation,
        )
        # tf2 drops the leading slash of tf1's frame names on the way in.
        sample = Sample(message.header.frame_id.lstrip("/"), (t.x, t.y, t.z), (r.x, r.y, r.z, r.w))
        stamp_ns = stamp.sec * 10**9 + stamp.nanosec
        self._tree.insert(message.child_frame_id.lstrip("/"), stamp_ns, sample, is_static=is_static)

    def _answer_frames(self, request: FrameGraph.Request, response: FrameGraph.Response) -> FrameGraph.Response:
        response.frame_yaml = self.all_frames_as_yaml()
        return response


def _nanoseconds(time: _Time) -> int:
    if isinstance(time, Time):
        return time.nanoseconds
    return time.sec * 10**9 + time.nanosec


def _to_message(transform: RigidTransform, stamp_ns: int, target_frame: str, source_frame: str) -> TransformStamped:
    message = TransformStamped()
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    message.header.frame_id = target_frame
    message.child_frame_id = source_frame
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, transform.translation)
    r.x, r.y, r.z, r.w = map(float, transform.rotation.as_quat())
    return message
