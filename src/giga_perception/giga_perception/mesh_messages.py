"""A triangle mesh to shape_msgs/Mesh (for planners) and to a Marker (for RViz)."""

from __future__ import annotations

import array

import trimesh
from geometry_msgs.msg import Point, Vector3
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

_MESH_COLOUR = ColorRGBA(r=0.55, g=0.65, b=0.75, a=0.9)


def mesh_message(mesh: trimesh.Trimesh) -> Mesh:
    """The same vertices (metres) and triangles."""
    return Mesh(
        vertices=_points(mesh),
        triangles=[MeshTriangle(vertex_indices=array.array("I", corners)) for corners in mesh.faces.tolist()],
    )


def mesh_marker(mesh: trimesh.Trimesh, header: Header) -> Marker:
    """The mesh as one TRIANGLE_LIST in the header's frame; an empty mesh deletes the one before."""
    marker = Marker(header=header, ns="scene_mesh", id=0, type=Marker.TRIANGLE_LIST)
    marker.action = Marker.ADD if len(mesh.faces) else Marker.DELETE
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
    marker.color = _MESH_COLOUR
    points = _points(mesh)
    marker.points = [points[corner] for corner in mesh.faces.reshape(-1).tolist()]
    return marker


def _points(mesh: trimesh.Trimesh) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in mesh.vertices.tolist()]
