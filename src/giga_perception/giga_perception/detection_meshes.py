"""What a picture of a detection shows, as coloured meshes: the surface seen, the affordance, the grasps as grippers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from giga_perception.detection import Detection
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
_PALE_COLOUR = (0.88, 0.88, 0.89)
_FLOOR_DROP_M = 0.004
_MOST_POINTS = 2500


def height_colour(height_m: NDArray[np.floating]) -> NDArray[np.float64]:
    """Colours [N, 3] of heights above the table [N], in metres."""
    place = np.clip(height_m / HEIGHT_TOP_M, 0.0, 1.0)
    anchors = np.linspace(0.0, 1.0, len(HEIGHT_COLOURS))
    return np.stack([np.interp(place, anchors, HEIGHT_COLOURS[:, channel]) for channel in range(3)], axis=-1)


def surface_mesh(vertices_m: NDArray[np.floating], triangles: NDArray[np.integer], pale: bool = False) -> ColouredMesh:
    """The seen surface coloured by height, or pale, to be a background."""
    colours = height_colour(vertices_m[:, 2] - TABLE_HEIGHT_M)
    if pale:
        colours = 0.25 * colours + 0.75 * np.array(_PALE_COLOUR)
    return ColouredMesh(vertices_m, triangles, colours)


def floor_mesh() -> ColouredMesh:
    """The workspace's square just below the table: it shows through wherever nothing was seen."""
    side, z = WORKSPACE_SIZE_M, TABLE_HEIGHT_M - _FLOOR_DROP_M
    vertices = np.array([[0.0, 0.0, z], [side, 0.0, z], [side, side, z], [0.0, side, z]])
    return ColouredMesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), np.tile(_UNSEEN_COLOUR, (4, 1)), smooth=False)


def affordance_mesh(detection: Detection, at_least: float) -> ColouredMesh:
    """An octahedron at each centre whose quality is ``at_least``, larger and brighter with it; the best if too many."""
    quality = detection.quality
    index = np.argwhere(quality >= max(at_least, 1e-6))
    values = quality[tuple(index.T)]
    best = np.argsort(-values)[:_MOST_POINTS]
    index, values = index[best], values[best]
    step_m = WORKSPACE_SIZE_M / len(quality)
    radius_m = step_m * (0.14 + 0.30 * values)
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    vertices = (index * step_m)[:, None, :] + corners[None] * radius_m[:, None, None]
    triangles = faces[None] + len(corners) * np.arange(len(index))[:, None, None]
    colours = np.repeat(quality_colour(values), len(corners), axis=0)
    return ColouredMesh(vertices.reshape(-1, 3), triangles.reshape(-1, 3), colours, smooth=False, glows=True)


def gripper_meshes(grasps: Sequence[Grasp]) -> list[ColouredMesh]:
    """Each grasp as a hand opened to its width, coloured by quality."""
    return [_gripper(grasp, quality_colour(grasp.quality), 1.0) for grasp in grasps]


def picked_meshes(picked: Sequence[Grasp]) -> list[ColouredMesh]:
    """Each grasp that was carried out: green and thicker."""
    return [_gripper(grasp, np.array(PICKED_COLOUR), 1.7) for grasp in picked]


def _gripper(grasp: Grasp, colour: NDArray[np.float64], scale: float) -> ColouredMesh:
    vertices, triangles = gripper_solid(grasp.T_workspace_tcp, grasp.width_m, scale)
    return ColouredMesh(vertices, triangles, np.tile(colour, (len(vertices), 1)), smooth=False)
