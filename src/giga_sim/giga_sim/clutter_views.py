"""What a detector gets to see in a clutter benchmark: the views of a protocol, each with its own noise.

A network knows the views that it was trained on. One that only ever saw the side view finds little in six fused views
or in a view from the table's other side; the paper trained another one for its six views.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.depth_noise import add_depth_noise, add_pixel_noise
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.clutter_settings import ClutterSettings, Views
from giga_sim.label_generation import SURFACE_VIEW_COUNT, SURFACE_VIEW_DISTANCE_M, SURFACE_VIEW_THETA_RAD
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.side_view_camera import CAMERA, look_at, render_depth, side_view

# Protocol P2. Angles: theta from the vertical, phi about z, as in `side_view_camera.look_at`.
RANDOM_VIEW_TARGET_M = (WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, 0.25)
RANDOM_VIEW_DISTANCE_M = (0.60, 0.75)
RANDOM_VIEW_THETA_RAD = (float(np.deg2rad(45.0)), float(np.deg2rad(60.0)))
RANDOM_VIEW_PHI_RAD = (0.0, float(np.pi))

_NOISE_OF_PROTOCOL = {"P1": add_depth_noise, "P2": add_pixel_noise}


def observe(world: PhysicsWorld, settings: ClutterSettings, rng: np.random.Generator) -> list[DepthView]:
    """The table as these settings look at it; what is random about it (view, then noise) is drawn from `rng`."""
    meshes = world.placed_meshes()
    views = []
    for T_camera_workspace in camera_poses(settings.views_taken, rng):
        clean = render_depth(meshes, CAMERA, T_camera_workspace, table=DEFAULT_TABLE)
        views.append(DepthView(_NOISE_OF_PROTOCOL[settings.protocol](clean, rng), CAMERA, T_camera_workspace))
    return views


def camera_poses(views: Views, rng: np.random.Generator) -> list[RigidTransform]:
    """T_camera_workspace of each camera: the fixed side view, a random view, or six around the table.

    The six stand where the labels' surface points are seen from (`label_generation.draw_surface_points`), 60 degrees
    apart.
    """
    if views == "side":
        return [side_view()]
    if views == "random":
        return [random_view(rng)]
    centre_m = (WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, TABLE_HEIGHT_M)
    return [
        look_at(centre_m, SURFACE_VIEW_DISTANCE_M, SURFACE_VIEW_THETA_RAD, phi_rad)
        for phi_rad in np.arange(SURFACE_VIEW_COUNT) * 2.0 * np.pi / SURFACE_VIEW_COUNT
    ]


def random_view(rng: np.random.Generator) -> RigidTransform:
    """T_camera_workspace of a view of protocol P2: distance, theta and phi each drawn evenly from their range.

    The protocol gives a "look-at height" of 0.25. It is taken for z, in `workspace`, of the point that the camera looks
    at, over the cube's horizontal middle: 0.20 m above the table, so the table lies in the lower half of the image.
    """
    distance_m = rng.uniform(*RANDOM_VIEW_DISTANCE_M)
    theta_rad = rng.uniform(*RANDOM_VIEW_THETA_RAD)
    return look_at(RANDOM_VIEW_TARGET_M, distance_m, theta_rad, rng.uniform(*RANDOM_VIEW_PHI_RAD))
