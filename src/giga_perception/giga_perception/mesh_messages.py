"""A triangle mesh to shape_msgs/Mesh (for planners), and meshes and landscapes to Markers (for RViz)."""

from __future__ import annotations

import array

import numpy as np
import trimesh
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from giga_perception.affordance_landscape import AffordanceLandscape

_MESH_COLOUR = ColorRGBA(r=0.55, g=0.65, b=0.75, a=0.9)


def mesh_message(mesh: trimesh.Trimesh) -> Mesh:
    """The same vertices (metres) and triangles."""
    return Mesh(
        vertices=_points(mesh.vertices),
        triangles=[MeshTriangle(vertex_indices=array.array("I", corners)) for corners in mesh.faces.tolist()],
    )


def mesh_marker(mesh: trimesh.Trimesh, header: Header) -> Marker:
    """The mesh as one TRIANGLE_LIST in the header's frame; an empty mesh deletes the one before."""
    marker = _triangle_list("scene_mesh", mesh.vertices, mesh.faces, header)
    marker.color = _MESH_COLOUR
    return marker


def affordance_surface_marker(landscape: AffordanceLandscape, header: Header) -> Marker:
    """The landscape as one TRIANGLE_LIST with a colour at each corner; an empty one deletes the one before."""
    marker = _triangle_list("affordance_surface", landscape.vertices_m, landscape.triangles, header)
    colours = [ColorRGBA(r=red, g=green, b=blue, a=1.0) for red, green, blue in landscape.colours().tolist()]
    marker.colors = [colours[corner] for corner in landscape.triangles.reshape(-1).tolist()]
    return marker


def _triangle_list(
    namespace: str, vertices_m: NDArray[np.floating], triangles: NDArray[np.integer], header: Header
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=0, type=Marker.TRIANGLE_LIST)
    marker.action = Marker.ADD if len(triangles) else Marker.DELETE
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
    points = _points(vertices_m)
    marker.points = [points[corner] for corner in triangles.reshape(-1).tolist()]
    return marker


def _points(vertices_m: NDArray[np.floating]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in vertices_m.tolist()]
