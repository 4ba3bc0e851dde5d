"""The way back along a joint trajectory, from wherever the arm stands on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Peak speed of the quintic time law, relative to its mean.
QUINTIC_PEAK = 1.875
SAMPLE_PERIOD_S = 0.02


def way_back(
    positions_rad: FloatArray, times_s: FloatArray, current_rad: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Path from `current_rad` back to the first point of a trajectory, at rest at both ends.

    Args:
        positions_rad: [N, J] points of the trajectory, densely sampled.
        times_s: [N] their times.
        current_rad: [J] where the arm is: the point nearest to it is where it joins the trajectory.

    Returns:
        times [M], positions [M, J], velocities [M, J]. No joint moves faster than the trajectory's own peak mean speed.
    """
    nearest = int(np.argmin(np.linalg.norm(positions_rad - current_rad, axis=1)))
    path = np.vstack([current_rad, positions_rad[: nearest + 1][::-1]])
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    moving = np.concatenate([[True], np.diff(lengths) > 1e-9])
    path, lengths = path[moving], lengths[moving]
    if len(path) == 1:
        return np.zeros(1), path, np.zeros_like(path)

    whole_length = float(np.linalg.norm(np.diff(positions_rad, axis=0), axis=1).sum())
    mean_speed = whole_length / float(times_s[-1] - times_s[0])
    duration_s = QUINTIC_PEAK * float(lengths[-1]) / mean_speed
    times = np.linspace(0.0, duration_s, max(3, int(np.ceil(duration_s / SAMPLE_PERIOD_S)) + 1))
    s = times / duration_s
    travelled = lengths[-1] * (10 * s**3 - 15 * s**4 + 6 * s**5)
    positions = np.column_stack([np.interp(travelled, lengths, joint) for joint in path.T])
    velocities = np.gradient(positions, times, axis=0)
    velocities[0] = velocities[-1] = 0.0
    return times, positions, velocities
