"""From a path to a trajectory: how fast the arm may follow it.

A path is a smooth curve q(u) in joint space; ruckig gives the motion u(t) along it, from rest to rest with limited
jerk. With

    q' u',   q'' u'^2 + q' u'',   q''' u'^3 + 3 q'' u' u'' + q' u'''

for velocity, acceleration and jerk of the joints, u's limits follow from the curve's derivatives; what they leave out
is cured by stretching time by k, which divides the three by k, k^2 and k^3. The limits hold for the sampled
trajectory, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import ruckig
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline

from giga_grasping.free_motion import CHECK_STEP_RAD
from giga_grasping.robot_profile import JointLimits

FloatArray = NDArray[np.float64]

SAMPLE_S = 0.02
"""Distance in time of a trajectory's points."""

_DEGREE = 5
_ROUNDING_SPACINGS_RAD = (1.2, 0.6, 0.3, 0.15, 0.075)
_VELOCITY_FRACTIONS = (1.0, 0.7, 0.5, 0.35)
_SAFETY = 1.002
_CHECK_S = 0.004


class TimingError(ValueError):
    """A path cannot be timed; the message is for a person."""


@dataclass(frozen=True)
class MotionLimits:
    """Limits of the joints, each [7]."""

    velocity_rad_s: FloatArray
    acceleration_rad_s2: FloatArray
    jerk_rad_s3: FloatArray


@dataclass(frozen=True)
class Trajectory:
    """A timed motion from rest to rest."""

    times_s: FloatArray
    """[N], from zero, rising."""
    positions_rad: FloatArray
    """[N, 7]."""
    velocities_rad_s: FloatArray
    """[N, 7]."""
    accelerations_rad_s2: FloatArray
    """[N, 7]."""

    @property
    def duration_s(self) -> float:
        """Time of the last point."""
        return float(self.times_s[-1])


def scaled_limits(limits: JointLimits, velocity_scaling: float, acceleration_scaling: float) -> MotionLimits:
    """The robot's limits times fractions in (0, 1]; jerk is scaled as acceleration is."""
    return MotionLimits(
        limits.velocity_rad_s * velocity_scaling,
        limits.acceleration_rad_s2 * acceleration_scaling,
        limits.jerk_rad_s3 * acceleration_scaling,
    )


def time_corners(corners_rad: FloatArray, limits: MotionLimits, is_free: Callable[[FloatArray], bool]) -> Trajectory:
    """Time a path with corners, rounding them as far as the curve stays free, or halting at each, whichever is faster.

    Args:
        corners_rad: [N, 7]; the straight motions between them are known to be free.
        limits: to keep.
        is_free: whether the arm may be in a configuration [7].
    """
    corners_rad = _distinct(corners_rad)
    if len(corners_rad) == 1:
        return stationary_trajectory(corners_rad[0])
    best = join_trajectories([time_curve(_straight(a, b), limits) for a, b in pairwise(corners_rad)])
    if len(corners_rad) > 2:
        for spacing_rad in _ROUNDING_SPACINGS_RAD:
            curve = rounded_curve(corners_rad, spacing_rad)
            rounded = time_curve(curve, limits)
            if rounded.duration_s < best.duration_s and _curve_is_free(curve, is_free):
                best = rounded
    return best


def time_line(configurations_rad: FloatArray, length_m: float, speed_m_s: float, limits: MotionLimits) -> Trajectory:
    """Time a straight line of the TCP, given as evenly spaced configurations [N, 7], at no more than `speed_m_s`."""
    distances = np.linspace(0.0, length_m, len(configurations_rad))
    return time_curve(interpolating_curve(distances, configurations_rad), limits, speed_m_s)


def time_curve(curve: BSpline, limits: MotionLimits, largest_rate: float = np.inf) -> Trajectory:
    """Time a curve q(u) from rest to rest.

    Args:
        curve: joint positions [7] over its parameter u, three times differentiable.
        limits: to keep.
        largest_rate: bound of u', in units of u a second.

    Raises:
        TimingError: ruckig finds no motion (limits not above zero).
    """
    start, end = float(curve.t[curve.k]), float(curve.t[-curve.k - 1])
    u = np.linspace(start, end, 200)
    first, second, third = (np.abs(curve.derivative(n)(u)) for n in (1, 2, 3))
    tiny = 1e-12
    rate = float(np.min(limits.velocity_rad_s / (first + tiny)))
    rate = min(rate, largest_rate)
    acceleration = float(np.min(limits.acceleration_rad_s2 / (first + tiny)))
    jerk = float(np.min(limits.jerk_rad_s3 / (first + tiny)))
    # Where the curve bends, what speed adds to acceleration and jerk has to be paid for by all: try some speeds.
    bend_rate = min(
        float(np.min(np.sqrt(limits.acceleration_rad_s2 / (second + tiny)))),
        float(np.min(np.cbrt(limits.jerk_rad_s3 / (third + tiny)))),
    )
    best: Trajectory | None = None
    for fraction in _VELOCITY_FRACTIONS:
        candidate = _time_at(curve, limits, largest_rate, min(rate, 2.0 * fraction * bend_rate), acceleration, jerk)
        if best is None or candidate.duration_s < best.duration_s:
            best = candidate
        if rate <= 0.7 * fraction * bend_rate:
            break  # the bends do not matter
    assert best is not None
    return best


def rounded_curve(corners_rad: FloatArray, spacing_rad: float) -> BSpline:
    """A curve that starts and ends where the corners [N, 7] do and cuts them by about `spacing_rad`.

    The corners and points between them, about that far apart, are the control points of a uniform spline of degree 5,
    which is straight where six of them are in line. Points mirrored beyond the ends make it start and end exactly
    there.
    """
    points = [corners_rad[0]]
    for a, b in pairwise(corners_rad):
        # Three parts at least, so that both ends of the curve are straight.
        parts = max(3, int(np.ceil(np.linalg.norm(b - a) / spacing_rad)))
        points += [a + (b - a) * (k / parts) for k in range(1, parts + 1)]
    control = np.array(points)
    ghosts = 2
    before = 2.0 * control[0] - control[ghosts:0:-1]
    after = 2.0 * control[-1] - control[-2 : -2 - ghosts : -1]
    extended = np.concatenate([before, control, after])
    # Control point k has its middle at u = k; the curve runs over 0..N.
    knots = np.arange(len(extended) + _DEGREE + 1, dtype=np.float64) - ghosts - 0.5 * (_DEGREE + 1)
    return BSpline(knots, extended, _DEGREE)


def interpolating_curve(parameters: FloatArray, configurations_rad: FloatArray) -> BSpline:
    """A curve of degree 5 through configurations [N, 7], N at least 6, at rising parameters [N]."""
    return make_interp_spline(parameters, configurations_rad, k=_DEGREE)


def _straight(start_rad: FloatArray, end_rad: FloatArray) -> BSpline:
    shares = np.linspace(0.0, 1.0, _DEGREE + 1)[:, None]
    knots = np.repeat([0.0, 1.0], _DEGREE + 1)
    return BSpline(knots, start_rad + (end_rad - start_rad) * shares, _DEGREE)


def _time_at(
    curve: BSpline, limits: MotionLimits, largest_rate: float, rate: float, acceleration: float, jerk: float
) -> Trajectory:
    """Time the curve with these limits of u and stretch the time until the joints' own limits hold."""
    start, end = float(curve.t[curve.k]), float(curve.t[-curve.k - 1])
    request = ruckig.InputParameter(1)
    request.current_position, request.target_position = [start], [end]
    request.max_velocity, request.max_acceleration, request.max_jerk = [rate], [acceleration], [jerk]
    motion = ruckig.Trajectory(1)
    result = ruckig.Ruckig(1).calculate(request, motion)
    if result not in (ruckig.Result.Working, ruckig.Result.Finished):
        raise TimingError(f"No timing was found for a path ({result}); are all limits above zero?")

    count = max(20, int(np.ceil(motion.duration / _CHECK_S)))
    times = np.linspace(0.0, motion.duration, count + 1)
    u, du, ddu = np.array([motion.at_time(t) for t in times])[:, :, 0].T
    u = np.clip(u, start, end)
    first, second, third = (curve.derivative(n)(u) for n in (1, 2, 3))
    velocity = first * du[:, None]
    acceleration_of_joints = second * du[:, None] ** 2 + first * ddu[:, None]
    # u's jerk is constant in stretches: between two samples it is the mean, at a sample one of its neighbours'.
    dddu = np.diff(ddu) / np.diff(times)
    smooth_jerk = third * du[:, None] ** 3 + 3.0 * second * (du * ddu)[:, None]
    jerks = np.concatenate([smooth_jerk[:-1] + first[:-1] * dddu[:, None], smooth_jerk[1:] + first[1:] * dddu[:, None]])
    stretch = _SAFETY * max(
        1.0 / _SAFETY,
        float(np.abs(velocity / limits.velocity_rad_s).max()),
        float(np.sqrt(np.abs(acceleration_of_joints / limits.acceleration_rad_s2).max())),
        float(np.cbrt(np.abs(jerks / limits.jerk_rad_s3).max())),
        float(du.max()) / largest_rate,
    )

    points = max(2, int(np.ceil(stretch * motion.duration / SAMPLE_S)))
    sampled = np.linspace(0.0, motion.duration, points + 1)
    u, du, ddu = np.array([motion.at_time(t) for t in sampled])[:, :, 0].T
    u = np.clip(u, start, end)
    du, ddu = du / stretch, ddu / stretch**2
    first, second = curve.derivative(1)(u), curve.derivative(2)(u)
    return Trajectory(
        times_s=sampled * stretch,
        positions_rad=curve(u),
        velocities_rad_s=first * du[:, None],
        accelerations_rad_s2=second * du[:, None] ** 2 + first * ddu[:, None],
    )


def stationary_trajectory(joints_rad: FloatArray) -> Trajectory:
    still = np.zeros((2, len(joints_rad)))
    return Trajectory(np.array([0.0, SAMPLE_S]), np.array([joints_rad, joints_rad]), still, still)


def join_trajectories(parts: list[Trajectory]) -> Trajectory:
    """Trajectories that each start where the one before ends, as one."""
    offsets = np.concatenate([[0.0], np.cumsum([part.duration_s for part in parts])])
    keep = [slice(0 if index == 0 else 1, None) for index in range(len(parts))]
    return Trajectory(
        np.concatenate([part.times_s[k] + offset for part, k, offset in zip(parts, keep, offsets, strict=False)]),
        np.concatenate([part.positions_rad[k] for part, k in zip(parts, keep, strict=True)]),
        np.concatenate([part.velocities_rad_s[k] for part, k in zip(parts, keep, strict=True)]),
        np.concatenate([part.accelerations_rad_s2[k] for part, k in zip(parts, keep, strict=True)]),
    )


def _distinct(corners_rad: FloatArray) -> FloatArray:
    """The corners without those that repeat the one before."""
    moved = np.abs(np.diff(corners_rad, axis=0)).max(axis=1) > 1e-6
    return corners_rad[np.concatenate([[True], moved])]


def _curve_is_free(curve: BSpline, is_free: Callable[[FloatArray], bool]) -> bool:
    """Whether a curve is free, checked as finely as straight motions are."""
    start, end = float(curve.t[curve.k]), float(curve.t[-curve.k - 1])
    coarse = curve(np.linspace(start, end, 100))
    length = float(np.abs(np.diff(coarse, axis=0)).max(axis=1).sum())
    return all(is_free(joints) for joints in curve(np.linspace(start, end, 2 + int(length / CHECK_STEP_RAD))))
