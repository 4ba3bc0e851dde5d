"""The tree of frames: which chain of transforms joins two of them, and the transform along it (tf2's BufferCore)."""

from __future__ import annotations

import logging
import math
import threading

from scipy.spatial.transform import RigidTransform

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from tf2_ros.frame_history import MovingHistory, Sample, StaticHistory

_log = logging.getLogger("tf2")

# tf2 refuses quaternions whose squared length is further from one than this.
QUATERNION_TOLERANCE = 10e-3


class FrameTree:
    """Thread-safe store of `T_parent_frame` for every frame."""

    def __init__(self, cache_ns: int) -> None:
        self._cache_ns = cache_ns
        self._histories: dict[str, MovingHistory | StaticHistory] = {}
        self._known: set[str] = set()
        self._lock = threading.RLock()

    def insert(self, frame: str, stamp_ns: int, sample: Sample, *, is_static: bool) -> bool:
        """Keep a transform. What tf2 refuses (itself as parent, no name, NaN, not a rotation) is logged and refused."""
        problem = _problem_with(frame, sample)
        if problem is not None:
            _log.error("ignoring transform of child_frame_id '%s': %s", frame, problem)
            return False
        with self._lock:
            history = self._histories.get(frame)
            if history is None or history.is_static != is_static:
                history = StaticHistory() if is_static else MovingHistory(self._cache_ns)
                self._histories[frame] = history
            self._known.update((frame, sample.parent))
            return history.insert(stamp_ns, sample)

    def clear(self) -> None:
        """Forget every moving transform; frames stay known and statics stay."""
        with self._lock:
            for history in self._histories.values():
                history.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> tuple[RigidTransform, int]:
        """`T_target_source` and its stamp; `stamp_ns` = 0 asks for the latest time that the whole chain has.

        Raises InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException.
        """
        with self._lock:
            self._check_known(target, "target_frame")
            self._check_known(source, "source_frame")
            if target == source:
                history = self._histories.get(source)
                latest_ns = history.latest_ns() if history else 0
                return RigidTransform.identity(), stamp_ns or latest_ns
            if stamp_ns == 0:
                stamp_ns = self._latest_common_ns(target, source)
            down, up = self._chain(target, source, stamp_ns)
            try:
                return self._along(up, stamp_ns).inv() * self._along(down, stamp_ns), stamp_ns
            except ExtrapolationException as error:
                raise _with_frames(error, target, source) from None

    def frames_as_yaml(self) -> str:
        """One block for each frame that has a parent, as tf2's introspection prints them."""
        with self._lock:
            lines = []
            for frame, history in self._histories.items():
                parent = history.parent_at(0)
                if parent is None:
                    continue
                lines += [
                    f"{frame}:",
                    f"  parent: '{parent}'",
                    f"  is_static: {str(history.is_static).lower()}",
                    f"  most_recent_transform: {history.latest_ns() / 1e9:.6f}",
                ]
            return "\n".join(lines) + "\n" if lines else "{}"

    def _check_known(self, frame: str, argument: str) -> None:
        where = f"Invalid argument passed to lookupTransform argument {argument} in tf2 frame_ids cannot"
        if not frame:
            raise InvalidArgumentException(f"{where} be empty")
        if frame.startswith("/"):
            raise InvalidArgumentException(f"{where} start with a '/' like: {frame}")
        if frame not in self._known:
            raise LookupException(f'"{frame}" passed to lookupTransform argument {argument} does not exist. ')

    def _ancestors(self, frame: str, stamp_ns: int) -> tuple[list[str], ExtrapolationException | None]:
        """`frame` and its ancestors at that time, and why the walk ended if it was for want of data."""
        chain = [frame]
        while True:
            history = self._histories.get(chain[-1])
            try:
                parent = history.parent_at(stamp_ns) if history else None
            except ExtrapolationException as error:
                return chain, error
            if parent is None:
                return chain, None
            if parent in chain:
                raise LookupException(f"The tf tree is invalid because it contains a loop: {' -> '.join(chain)}")
            chain.append(parent)

    def _chain(self, target: str, source: str, stamp_ns: int) -> tuple[list[str], list[str]]:
        """The frames from source, and those from target, up to but without the ancestor that both share."""
        from_source, source_error = self._ancestors(source, stamp_ns)
        from_target, target_error = self._ancestors(target, stamp_ns)
        shared = next((frame for frame in from_source if frame in from_target), None)
        if shared is None:
            error = source_error or target_error
            if error is not None:
                raise _with_frames(error, target, source)
            raise ConnectivityException(
                f"Could not find a connection between '{target}' and '{source}' because they are not part of the "
                "same tree. Tf has two or more unconnected trees."
            )
        return from_source[: from_source.index(shared)], from_target[: from_target.index(shared)]

    def _latest_common_ns(self, target: str, source: str) -> int:
        """The newest time that every moving frame between the two has; 0 when all are static."""
        down, up = self._chain(target, source, 0)
        return min(
            (ns for frame in down + up if (ns := self._histories[frame].latest_ns())),
            default=0,
        )

    def _along(self, chain: list[str], stamp_ns: int) -> RigidTransform:
        """`T_shared_first` for a chain of frames going up to the shared ancestor."""
        T_shared_first = RigidTransform.identity()
        for frame in chain:
            T_shared_first = self._histories[frame].transform_at(stamp_ns) * T_shared_first
        return T_shared_first


def _with_frames(error: ExtrapolationException, target: str, source: str) -> ExtrapolationException:
    return ExtrapolationException(f"{error}, when looking up transform from frame [{source}] to frame [{target}]")


def _problem_with(frame: str, sample: Sample) -> str | None:
    if not frame:
        return "child_frame_id is empty"
    if not sample.parent:
        return "frame_id is empty"
    if frame == sample.parent:
        return "frame_id and child_frame_id are the same"
    if not all(map(math.isfinite, sample.translation_m + sample.rotation_xyzw)):
        return "it holds a value that is not a number"
    if abs(sum(value * value for value in sample.rotation_xyzw) - 1.0) > QUATERNION_TOLERANCE:
        return f"its quaternion {sample.rotation_xyzw} is not of unit length"
    return None
