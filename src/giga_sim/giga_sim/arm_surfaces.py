"""The arm's link meshes for the depth camera: it sees the arm, as a real one does."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation

from giga_sim.surface_mesh import SurfaceMesh


@dataclass(frozen=True, eq=False)
class LinkSurface:
    """A mesh fixed to a link: `T_link_mesh` maps the mesh's coordinates into the link's frame."""

    link: str
    mesh: SurfaceMesh
    T_link_mesh: RigidTransform


def read_link_surfaces(urdf_file: Path) -> tuple[LinkSurface, ...]:
    """The collision meshes of a URDF, one for each link that has any; light, and close to the visual ones."""
    surfaces = []
    for link in ElementTree.parse(urdf_file).getroot().findall("link"):
        for collision in link.findall("collision"):
            mesh = collision.find("geometry/mesh")
            if mesh is None:
                continue
            path = urdf_file.parent / mesh.attrib["filename"].removeprefix("package://")
            loaded = trimesh.load_mesh(path, process=False)
            surfaces.append(
                LinkSurface(
                    link=link.attrib["name"],
                    mesh=SurfaceMesh(np.asarray(loaded.vertices), np.asarray(loaded.faces)),
                    T_link_mesh=_origin(collision.find("origin")),
                )
            )
    return tuple(surfaces)


def _origin(element: ElementTree.Element | None) -> RigidTransform:
    if element is None:
        return RigidTransform.identity()
    translation = [float(word) for word in element.get("xyz", "0 0 0").split()]
    angles = [float(word) for word in element.get("rpy", "0 0 0").split()]
    return RigidTransform.from_components(translation, Rotation.from_euler("xyz", angles))
