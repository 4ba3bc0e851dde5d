"""Where depth cameras stand besides the side view: at random, as in the later protocol (P2), or in a ring of views.

Angles: theta from the vertical, phi the azimuth about z; the side view stands at phi = -90 degrees.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.side_view_camera import look_at

# P2 draws from half a circle, opposite the side view. Training turns and mirrors its scenes, so every side is met.
RANDOM_VIEW_TARGET_M = (WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, 0.25)
RANDOM_VIEW_DISTANCE_M = (0.6, 0.75)
RANDOM_VIEW_THETA_RAD = (float(np.radians(45.0)), float(np.radians(60.0)))
RANDOM_VIEW_PHI_RAD = (0.0, float(np.pi))

RING_TARGET_M = (WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, TABLE_HEIGHT_M)
RING_DISTANCE_M = 0.6
RING_THETA_RAD = float(np.pi / 6.0)


def draw_random_view(rng: np.random.Generator) -> RigidTransform:
    """T_camera_workspace of a camera drawn as the protocol P2 does: distance, theta and phi evenly from their ranges.

    Its "look-at height" of 0.25 is taken for z, in ``workspace``, of the point that the camera looks at.
    """
    distance_m = rng.uniform(*RANDOM_VIEW_DISTANCE_M)
    theta_rad = rng.uniform(*RANDOM_VIEW_THETA_RAD)
    return look_at(RANDOM_VIEW_TARGET_M, distance_m, theta_rad, rng.uniform(*RANDOM_VIEW_PHI_RAD))


def ring_of_views(count: int) -> list[RigidTransform]:
    """T_camera_workspace of `count` cameras that look down at the workspace from evenly around it."""
    return [
        look_at(RING_TARGET_M, RING_DISTANCE_M, RING_THETA_RAD, phi_rad)
        for phi_rad in np.arange(count) * 2.0 * np.pi / count
    ]
