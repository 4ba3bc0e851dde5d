"""A straight line of the tool centre point, as joint configurations that follow each other closely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.inverse_kinematics import InverseKinematics

FloatArray = NDArray[np.float64]

STEP_M = 0.005
"""Distance of the configurations along the line."""

FEWEST_STEPS = 5
"""The timing lays a curve of degree 5 through the configurations."""

_LARGEST_JOINT_STEP_RAD = 0.12
"""More than this for one step is a passage near a singular configuration: too fast to be followed."""


def line_steps(distance_m: float) -> int:
    """Into how many equal steps a line of that length is cut."""
    return max(FEWEST_STEPS, int(np.ceil(distance_m / STEP_M - 1e-9)))


def straight_line(
    kinematics: InverseKinematics,
    start_rad: FloatArray,
    T_base_start: RigidTransform,
    direction: FloatArray,
    distance_m: float,
) -> FloatArray:
    """Move the TCP along a line, its orientation kept, from a known configuration.

    Each configuration is found from the one before, so the joints are continuous.

    Args:
        kinematics: of the arm.
        start_rad: configuration [7] at the start of the line.
        T_base_start: TCP pose of that configuration.
        direction: unit vector [3], base frame.
        distance_m: length of the line, above zero.

    Returns:
        Configurations [K, 7], `distance_m / line_steps(distance_m)` apart, the first being `start_rad`. K is
        `line_steps(distance_m)` + 1, or less where the line leaves the reach or the joint limits, or needs a jump.
    """
    steps = line_steps(distance_m)
    origin = np.asarray(T_base_start.translation)
    configurations = [np.asarray(start_rad, dtype=np.float64)]
    for step in range(1, steps + 1):
        position = origin + direction * (distance_m * step / steps)
        T_base_tcp = RigidTransform.from_components(position, T_base_start.rotation)
        # The last step, repeated, is the best guess of the next one.
        guess = configurations[-1] if step == 1 else 2.0 * configurations[-1] - configurations[-2]
        found = kinematics.refine(guess, T_base_tcp)
        if found is None or np.abs(found - configurations[-1]).max() > _LARGEST_JOINT_STEP_RAD:
            break
        configurations.append(found)
    return np.array(configurations)
