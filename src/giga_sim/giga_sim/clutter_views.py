"""What a detector gets to see in a clutter benchmark: the views of a protocol, each with its own noise.

A network knows the views that it was trained on. One that only ever saw the side view finds little in six fused views
or in a view from the table's other side; the paper trained another one for its six views.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.depth_noise import add_depth_noise, add_pixel_noise
from giga_sim.camera_views import draw_random_view, ring_of_views
from giga_sim.clutter_settings import ClutterSettings, Views
from giga_sim.label_generation import SURFACE_VIEW_COUNT
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.side_view_camera import CAMERA, render_depth, side_view

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
        return [draw_random_view(rng)]
    return ring_of_views(SURFACE_VIEW_COUNT)
