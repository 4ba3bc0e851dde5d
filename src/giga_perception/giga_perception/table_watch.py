"""Now and then a look for the table in a depth view: does the configured workspace still fit what is seen?"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from giga_perception.observed_scene import ObservedScene
from giga_perception.table_plane import (
    WARN_OFFSET_M,
    WARN_TILT_DEG,
    TablePlane,
    TablePlaneNotFoundError,
    find_table_plane,
)

# A depth camera's error differs from image to image by a centimetre: what is told is the median of the last looks, and
# fewer than half of them are no reason to warn.
LOOKS = 5
LEAST_LOOKS = 3


@dataclass(frozen=True)
class TableState:
    """What the last looks found; ``message`` in words, ``is_off`` when the plane is not where it is configured.

    offset_m, tilt_deg: as in `TablePlane`, medians of ``looks`` looks; None when no look has found a table yet.
    """

    is_off: bool
    message: str
    offset_m: float | None = None
    tilt_deg: float | None = None
    looks: int = 0


class TableWatch:
    """Keeps the last results. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_s = -float("inf")
        self._found: deque[TablePlane] = deque(maxlen=LOOKS)
        self._stamp_ns: int | None = None
        self._state: TableState | None = None

    @property
    def state(self) -> TableState | None:
        """What the last looks found; None before the first."""
        return self._state

    def is_due(self, period_s: float) -> bool:
        """Whether the last look was this long ago (wall time); never for a period of 0."""
        return period_s > 0.0 and time.monotonic() - self._looked_s >= period_s

    def postpone(self) -> None:
        """Wait another period: there was nothing to look at."""
        self._looked_s = time.monotonic()

    def look(self, scene: ObservedScene) -> None:
        """Look for the table in the newest view of the scene; takes some milliseconds."""
        with self._lock:
            self._looked_s = time.monotonic()
            if scene.stamp_ns == self._stamp_ns:
                return  # the same image again, as from a halted simulation, is no second witness
            self._stamp_ns = scene.stamp_ns
            try:
                self._found.append(find_table_plane(scene.views[-1]))
            except TablePlaneNotFoundError as error:
                # Nothing is wrong when the table is covered; what was found before may no longer hold.
                self._found.clear()
                self._state = TableState(is_off=False, message=str(error))
                return
            self._state = _state_of(self._found)


def _state_of(found: deque[TablePlane]) -> TableState:
    offset_m = float(np.median([plane.offset_m for plane in found]))
    # The tilt of the median normal: tilts themselves are never negative, so noise alone would add up in them.
    normal = np.median([plane.normal_workspace for plane in found], axis=0)
    tilt_deg = float(np.rad2deg(np.arctan2(np.linalg.norm(normal[:2]), normal[2])))
    looks = len(found)
    if abs(offset_m) <= WARN_OFFSET_M and tilt_deg <= WARN_TILT_DEG:
        message = f"the table is where the workspace frame has it (median of {looks} looks)"
        return TableState(False, message, offset_m, tilt_deg, looks)
    if looks < LEAST_LOOKS:
        message = f"the table seems to be off the configured plane; {LEAST_LOOKS} looks will tell"
        return TableState(False, message, offset_m, tilt_deg, looks)
    side = "above" if offset_m > 0.0 else "below"
    message = (
        f"the table lies {1000.0 * abs(offset_m):.0f} mm {side} the configured plane and is tilted by {tilt_deg:.1f} "
        f"degrees against it (median of {looks} looks): correct the workspace's transform, see giga calibrate table"
    )
    return TableState(True, message, offset_m, tilt_deg, looks)
