"""What a detection looks at: the depth views fused, when the newest was taken, how much of the cube the robot hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from giga_perception.camera import DepthView


class SceneUnavailableError(Exception):
    """There is no scene to look at, or no way to the frame asked for; the message says why, and what to do."""


@dataclass(frozen=True, eq=False)
class ObservedScene:
    """The views that are fused, oldest first.

    stamp_ns: of the newest image, in nanoseconds.
    hidden_by_robot: share of the workspace that the robot hides from all cameras, 0 to 1; -1 = not measured.
    remarks: sentences for the report: cameras left out since they see nothing of the workspace, links not found.
    """

    views: tuple[DepthView, ...]
    stamp_ns: int
    hidden_by_robot: float = -1.0
    remarks: tuple[str, ...] = ()

    def shows_the_same_as(self, other: ObservedScene) -> bool:
        """Whether nothing need be computed anew.

        Compares the images too: a simulation that was reset shows another scene under an old stamp, and a still one the
        same scene under a new stamp.
        """
        return (
            self.hidden_by_robot == other.hidden_by_robot
            and self.remarks == other.remarks
            and len(self.views) == len(other.views)
            and all(_same_view(mine, its) for mine, its in zip(self.views, other.views, strict=True))
        )


def _same_view(first: DepthView, second: DepthView) -> bool:
    return first is second or (
        first.camera == second.camera
        and np.array_equal(first.T_camera_workspace.as_matrix(), second.T_camera_workspace.as_matrix())
        and np.array_equal(first.depth_m, second.depth_m)
    )
