"""The views of one camera over the last seconds, thinned by its motion: what a TSDF that forgets is fused from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy.spatial.transform import RigidTransform

Item = TypeVar("Item")

# A camera that has moved less than both of these since a view was taken sees nothing new, only the same more recently.
LEAST_MOTION_M = 0.02
LEAST_ROTATION_RAD = np.deg2rad(3.0)


@dataclass(frozen=True, eq=False)
class PlacedItem(Generic[Item]):
    """What was seen, when, and where the camera stood; ``T_camera_workspace`` as in `DepthView`."""

    item: Item
    stamp_ns: int
    T_camera_workspace: RigidTransform


class ViewHistory(Generic[Item]):
    """Keeps a view whenever the camera has moved on from the one kept before, and always the newest.

    A view is superseded by a later one from the same place, so that a resting camera neither fills the history nor
    shows what has since changed. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._kept: list[PlacedItem[Item]] = []
        self._newest: PlacedItem[Item] | None = None

    def add(self, seen: PlacedItem[Item], most: int) -> None:
        """Take the newest view, keep ``most`` in all. It replaces one of equal stamp; an older one comes too late."""
        last = self._newest
        if last is not None and seen.stamp_ns < last.stamp_ns:
            return
        if last is not None and seen.stamp_ns > last.stamp_ns and (not self._kept or _has_moved(self._kept[-1], last)):
            self._kept = [view for view in self._kept if _has_moved(view, last)] + [last]
        self._newest = seen
        self._kept = self._kept[max(0, len(self._kept) + 1 - most) :]

    def within(self, window_s: float, newest_ns: int) -> list[PlacedItem[Item]]:
        """The views taken at most ``window_s`` before ``newest_ns``, oldest first."""
        if self._newest is None:
            return []
        views = [view for view in self._kept if _has_moved(view, self._newest)] + [self._newest]
        return [view for view in views if view.stamp_ns >= newest_ns - round(window_s * 1e9)]

    def clear(self) -> None:
        """Forget every view."""
        self._kept, self._newest = [], None


def _has_moved(before: PlacedItem[Item], after: PlacedItem[Item]) -> bool:
    T_before_after = before.T_camera_workspace * after.T_camera_workspace.inv()
    return bool(
        np.linalg.norm(T_before_after.translation) >= LEAST_MOTION_M
        or T_before_after.rotation.magnitude() >= LEAST_ROTATION_RAD
    )
