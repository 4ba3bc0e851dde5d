"""Now and then a look for the table in a depth view: does the configured workspace still fit what is seen?"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from giga_perception.observed_scene import ObservedScene
from giga_perception.table_plane import TablePlaneNotFoundError, find_table_plane, plane_warning


@dataclass(frozen=True)
class TableState:
    """What the last look found; ``message`` in words, ``is_off`` when the plane is not where it is configured."""

    is_off: bool
    message: str
    offset_m: float | None = None
    tilt_deg: float | None = None


class TableWatch:
    """Keeps the last result. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_s = -float("inf")
        self._state: TableState | None = None

    @property
    def state(self) -> TableState | None:
        """What the last look found; None before the first."""
        return self._state

    def is_due(self, period_s: float) -> bool:
        """Whether the last look was this long ago (wall time); never for a period of 0."""
        return period_s > 0.0 and time.monotonic() - self._looked_s >= period_s

    def look(self, scene: ObservedScene) -> None:
        """Look for the table in the newest view of the scene; takes some milliseconds."""
        with self._lock:
            self._looked_s = time.monotonic()
            try:
                plane = find_table_plane(scene.views[-1])
            except TablePlaneNotFoundError as error:
                # Nothing is wrong when the table is covered.
                self._state = TableState(is_off=False, message=str(error))
                return
            warning = plane_warning(plane)
            message = warning or "the table is where the workspace frame has it"
            self._state = TableState(warning is not None, message, plane.offset_m, plane.tilt_deg)
