"""What is known of one frame: its parent and pose over time, or once and for ever."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from scipy.spatial.transform import RigidTransform, Rotation, Slerp

from tf2_ros.exceptions import ExtrapolationException


@dataclass(frozen=True)
class Sample:
    """Pose of a frame in its parent: translation in metres, quaternion x, y, z, w of unit length."""

    parent: str
    translation_m: tuple[float, float, float]
    rotation_xyzw: tuple[float, float, float, float]

    def transform(self) -> RigidTransform:
        """`T_parent_frame`."""
        return RigidTransform.from_components(self.translation_m, Rotation.from_quat(self.rotation_xyzw))


class StaticHistory:
    """A frame that never moves: the newest transform received holds at every time."""

    is_static = True

    def __init__(self) -> None:
        self._sample: Sample | None = None

    def insert(self, stamp_ns: int, sample: Sample) -> bool:
        self._sample = sample
        return True

    def clear(self) -> None:
        """Statics are for ever: a jump of the clock does not touch them."""

    def latest_ns(self) -> int:
        """0: a static frame never limits the latest common time."""
        return 0

    def parent_at(self, stamp_ns: int) -> str | None:
        return self._sample.parent if self._sample else None

    def transform_at(self, stamp_ns: int) -> RigidTransform:
        assert self._sample is not None, "a static history is created together with its sample"
        return self._sample.transform()


class MovingHistory:
    """A stamped ring: samples sorted by stamp, none older than `cache_ns` before the newest."""

    is_static = False

    def __init__(self, cache_ns: int) -> None:
        self._cache_ns = cache_ns
        self._stamps_ns: list[int] = []
        self._samples: list[Sample] = []

    def insert(self, stamp_ns: int, sample: Sample) -> bool:
        """Keep a sample; False when it is older than the cache or its stamp is already there (the first one stays)."""
        stamps = self._stamps_ns
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
            self._samples.append(sample)
        else:
            if stamp_ns < stamps[-1] - self._cache_ns:
                return False
            index = bisect.bisect_left(stamps, stamp_ns)
            if stamps[index] == stamp_ns:
                return False
            stamps.insert(index, stamp_ns)
            self._samples.insert(index, sample)
        expired = bisect.bisect_left(stamps, stamps[-1] - self._cache_ns)
        if expired:
            del stamps[:expired], self._samples[:expired]
        return True

    def clear(self) -> None:
        self._stamps_ns.clear()
        self._samples.clear()

    def latest_ns(self) -> int:
        """Stamp of the newest sample; 0 when there is none."""
        return self._stamps_ns[-1] if self._stamps_ns else 0

    def parent_at(self, stamp_ns: int) -> str | None:
        """The parent at that time (0 = newest); None when nothing is known. Raises ExtrapolationException."""
        if not self._stamps_ns:
            return None
        return self._samples[self._index_before(stamp_ns)].parent

    def transform_at(self, stamp_ns: int) -> RigidTransform:
        """`T_parent_frame` at that time (0 = newest), between two stamps by Slerp and a straight line.

        Raises ExtrapolationException outside the stamps that are known.
        """
        index = self._index_before(stamp_ns)
        older = self._samples[index]
        older_ns = self._stamps_ns[index]
        if stamp_ns in (0, older_ns) or self._samples[index + 1].parent != older.parent:
            return older.transform()
        newer = self._samples[index + 1]
        # Seconds since the older stamp: nanoseconds since the epoch would not fit in a double.
        span = self._stamps_ns[index + 1] - older_ns
        share = (stamp_ns - older_ns) / span
        rotation = Slerp([0.0, 1.0], Rotation.from_quat([older.rotation_xyzw, newer.rotation_xyzw]))(share)
        translation = [a + share * (b - a) for a, b in zip(older.translation_m, newer.translation_m, strict=True)]
        return RigidTransform.from_components(translation, rotation)

    def _index_before(self, stamp_ns: int) -> int:
        """Index of the newest sample that is not younger than `stamp_ns`."""
        stamps = self._stamps_ns
        if stamp_ns == 0:
            return len(stamps) - 1
        if len(stamps) == 1 and stamp_ns != stamps[0]:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {seconds(stamp_ns)}, "
                f"but only time {seconds(stamps[0])} is in the buffer"
            )
        if stamp_ns > stamps[-1]:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the future.  Requested time {seconds(stamp_ns)} "
                f"but the latest data is at time {seconds(stamps[-1])}"
            )
        if stamp_ns < stamps[0]:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the past.  Requested time {seconds(stamp_ns)} "
                f"but the earliest data is at time {seconds(stamps[0])}"
            )
        return bisect.bisect_right(stamps, stamp_ns) - 1


def seconds(stamp_ns: int) -> str:
    """A stamp as tf2's messages print it."""
    return f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}"
