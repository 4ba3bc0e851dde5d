"""What a picture of a detection shows, as coloured meshes: the surface seen, the affordance, the grasps as grippers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from giga_perception.affordance_landscape import AffordanceLandscape
from giga_perception.grasp import Grasp
from giga_perception.gripper_shape import gripper_solid
from giga_perception.quality_colour import quality_colour
from giga_perception.surface_render import ColouredMesh
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

HEIGHT_COLOURS = np.array([[0.90, 0.89, 0.84], [0.62, 0.80, 0.75], [0.25, 0.60, 0.68], [0.11, 0.36, 0.55]])
"""From the table (sand) to ``HEIGHT_TOP_M`` (blue): no colour that the quality scale uses."""
HEIGHT_TOP_M = 0.15
"""Height above the table at which the height colours end."""
PICKED_COLOUR = (0.05, 0.72, 0.36)

_UNSEEN_COLOUR = (0.80, 0.80, 0.82)
_FLOOR_DROP_M = 0.004


def height_colour(height_m: NDArray[np.floating]) -> NDArray[np.float64]:
    """Colours [N, 3] of heights above the table [N], in metres."""
    place = np.clip(height_m / HEIGHT_TOP_M, 0.0, 1.0)
    anchors = np.linspace(0.0, 1.0, len(HEIGHT_COLOURS))
    return np.stack([np.interp(place, anchors, HEIGHT_COLOURS[:, channel]) for channel in range(3)], axis=-1)


def surface_mesh(vertices_m: NDArray[np.floating], triangles: NDArray[np.integer]) -> ColouredMesh:
    """The seen surface coloured by height."""
    return ColouredMesh(vertices_m, triangles, height_colour(vertices_m[:, 2] - TABLE_HEIGHT_M))


def floor_mesh() -> ColouredMesh:
    """The workspace's square just below the table: it shows through wherever nothing was seen."""
    side, z = WORKSPACE_SIZE_M, TABLE_HEIGHT_M - _FLOOR_DROP_M
    vertices = np.array([[0.0, 0.0, z], [side, 0.0, z], [side, side, z], [0.0, side, z]])
    return ColouredMesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), np.tile(_UNSEEN_COLOUR, (4, 1)), smooth=False)


def landscape_mesh(landscape: AffordanceLandscape) -> ColouredMesh:
    """The surface in the colours of its affordance."""
    return ColouredMesh(landscape.vertices_m, landscape.triangles, landscape.colours())


def gripper_meshes(grasps: Sequence[Grasp]) -> list[ColouredMesh]:
    """Each grasp as a hand opened to its width, coloured by quality."""
    return [_gripper(grasp, quality_colour(grasp.quality), 1.0) for grasp in grasps]


def picked_meshes(picked: Sequence[Grasp]) -> list[ColouredMesh]:
    """Each grasp that was carried out: green and thicker."""
    return [_gripper(grasp, np.array(PICKED_COLOUR), 1.7) for grasp in picked]


def _gripper(grasp: Grasp, colour: NDArray[np.float64], scale: float) -> ColouredMesh:
    vertices, triangles = gripper_solid(grasp.T_workspace_tcp, grasp.width_m, scale)
    return ColouredMesh(vertices, triangles, np.tile(colour, (len(vertices), 1)), smooth=False)
