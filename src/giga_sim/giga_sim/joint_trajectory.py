"""Joint trajectories: which ones a controller accepts, and where the joints are to be at a time.

The rules and the interpolation are those of ros2_controllers' JointTrajectoryController: linear between points that
give positions, cubic when both ends also give velocities, quintic when both also give accelerations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np


class TrajectoryRejectedError(ValueError):
    """A trajectory that the controller does not accept; the message says why."""


@dataclass(frozen=True)
class TrajectoryPoint:
    """One point, joints in the trajectory's own order; `velocities` and `accelerations` are [J] or None."""

    time_s: float
    positions: np.ndarray
    velocities: np.ndarray | None = None
    accelerations: np.ndarray | None = None


@dataclass(frozen=True)
class JointSetpoint:
    """Where the joints are to be: positions (rad), velocities (rad/s), accelerations (rad/s^2), each [J]."""

    positions: np.ndarray
    velocities: np.ndarray
    accelerations: np.ndarray


@dataclass(frozen=True)
class JointTrajectory:
    """Piecewise polynomials in time: `coefficients` [S, 6, J], lowest power first, in time since the segment's start.

    Segment s runs from `times_s[s]` to `times_s[s + 1]`; the first begins at time 0 at the state the arm then had.
    """

    times_s: np.ndarray
    coefficients: np.ndarray
    end: JointSetpoint = field(repr=False)

    @property
    def duration_s(self) -> float:
        """Time of the last point."""
        return float(self.times_s[-1])

    def at(self, time_s: float) -> JointSetpoint:
        """The setpoint at `time_s` since the start; the last point, at rest, from the end on."""
        if time_s >= self.times_s[-1]:
            return self.end
        segment = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        c = self.coefficients[segment]
        t = time_s - self.times_s[segment]
        positions = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))))
        velocities = c[1] + t * (2 * c[2] + t * (3 * c[3] + t * (4 * c[4] + t * 5 * c[5])))
        accelerations = 2 * c[2] + t * (6 * c[3] + t * (12 * c[4] + t * 20 * c[5]))
        return JointSetpoint(positions, velocities, accelerations)


def order_points(
    joint_names: Sequence[str], points: Sequence[TrajectoryPoint], controller_joints: Sequence[str]
) -> tuple[TrajectoryPoint, ...]:
    """The points with their joints brought into the controller's order, once the whole trajectory is acceptable.

    Raises TrajectoryRejectedError with the reason.
    """
    missing = [name for name in controller_joints if name not in joint_names]
    unknown = [name for name in joint_names if name not in controller_joints]
    if missing or unknown or len(joint_names) != len(controller_joints):
        complaints = []
        if unknown:
            complaints.append(f"it names unknown joints ({', '.join(unknown)})")
        if missing:
            complaints.append(f"it leaves out joints ({', '.join(missing)})")
        if not complaints:
            complaints.append("it names a joint twice")
        raise TrajectoryRejectedError(
            f"the trajectory must name each joint of the controller once: {' and '.join(complaints)}"
        )
    if not points:
        raise TrajectoryRejectedError("the trajectory has no points")
    order = [list(joint_names).index(name) for name in controller_joints]
    ordered = []
    previous_time_s = -np.inf
    for index, point in enumerate(points):
        if point.time_s < 0 or point.time_s <= previous_time_s:
            raise TrajectoryRejectedError(
                f"time_from_start must rise strictly from point to point and not be negative; point {index} is at "
                f"{point.time_s:.6f} s"
            )
        previous_time_s = point.time_s
        positions = _ordered_values("positions", index, point.positions, order)
        if positions is None:
            raise TrajectoryRejectedError(f"point {index} has no positions; this controller takes positions")
        velocities = _ordered_values("velocities", index, point.velocities, order)
        accelerations = _ordered_values("accelerations", index, point.accelerations, order)
        ordered.append(TrajectoryPoint(point.time_s, positions, velocities, accelerations))
    return tuple(ordered)


def _ordered_values(name: str, index: int, values: np.ndarray | None, order: list[int]) -> np.ndarray | None:
    if values is None or len(values) == 0:
        return None
    if len(values) != len(order):
        raise TrajectoryRejectedError(f"point {index} has {len(values)} {name} for {len(order)} joints")
    if not np.all(np.isfinite(values)):
        raise TrajectoryRejectedError(f"point {index} has {name} that are no finite numbers")
    return np.asarray(values, dtype=float)[order]


def trajectory_through(points: Sequence[TrajectoryPoint], start: JointSetpoint) -> JointTrajectory:
    """The trajectory from `start`, at time 0, through the points, joints in the controller's order.

    A first point at time 0 replaces the start: when it lies elsewhere, the trajectory begins with a jump.
    """
    nodes = list(points)
    if points[0].time_s > 0.0:
        nodes.insert(0, TrajectoryPoint(0.0, start.positions, start.velocities, start.accelerations))
    times_s = np.array([node.time_s for node in nodes])
    joint_count = len(nodes[0].positions)
    coefficients = np.zeros((max(len(nodes) - 1, 0), 6, joint_count))
    for segment, (before, after) in enumerate(pairwise(nodes)):
        coefficients[segment] = _segment_coefficients(before, after)
    zeros = np.zeros(joint_count)
    return JointTrajectory(times_s, coefficients, JointSetpoint(nodes[-1].positions, zeros, zeros))


def _segment_coefficients(before: TrajectoryPoint, after: TrajectoryPoint) -> np.ndarray:
    """Polynomial coefficients [6, J] that meet all that both ends give."""
    duration = after.time_s - before.time_s
    coefficients = np.zeros((6, len(before.positions)))
    coefficients[0] = before.positions
    step = after.positions - before.positions
    if before.velocities is None or after.velocities is None:
        coefficients[1] = step / duration
        return coefficients
    v0, v1 = before.velocities, after.velocities
    coefficients[1] = v0
    if before.accelerations is None or after.accelerations is None:
        coefficients[2] = (3.0 * step - (2.0 * v0 + v1) * duration) / duration**2
        coefficients[3] = (-2.0 * step + (v0 + v1) * duration) / duration**3
        return coefficients
    a0, a1 = before.accelerations, after.accelerations
    coefficients[2] = a0 / 2.0
    coefficients[3] = (20.0 * step - (8.0 * v1 + 12.0 * v0) * duration - (3.0 * a0 - a1) * duration**2) / (
        2.0 * duration**3
    )
    coefficients[4] = (-30.0 * step + (14.0 * v1 + 16.0 * v0) * duration + (3.0 * a0 - 2.0 * a1) * duration**2) / (
        2.0 * duration**4
    )
    coefficients[5] = (12.0 * step - 6.0 * (v1 + v0) * duration - (a0 - a1) * duration**2) / (2.0 * duration**5)
    return coefficients
