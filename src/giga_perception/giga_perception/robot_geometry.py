"""The shapes of a robot's links, read from its URDF: what `robot_mask` looks for in a depth image.

Every collision geometry of a link becomes one convex body (its hull: fine for arms like the Panda, whose collision
meshes are convex; a hollow link would be filled). Where a link has no collision geometry, its visual one is taken.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.convex_body import ConvexBody, convex_body_around

DEFAULT_GROWTH_M = 0.02
"""How far around a link a reading still counts as the robot's: calibration errors, cables, noise."""

# How much a body's planes may stand out from the hull they replace. Fewer planes make a faster mask.
_APPROXIMATION_M = 0.002
_ROUND_CORNERS = 24


class RobotGeometryError(ValueError):
    """The robot description cannot be used at all; the message says why."""


@dataclass(frozen=True, eq=False)
class LinkBody:
    """One convex body of a link, in the link's frame: as described, and grown."""

    link: str
    body: ConvexBody
    grown: ConvexBody


@dataclass(frozen=True, eq=False)
class RobotGeometry:
    """The bodies of all links that have any; `warnings` has a sentence for each geometry that could not be read."""

    bodies: tuple[LinkBody, ...]
    growth_m: float
    warnings: tuple[str, ...]

    @property
    def link_names(self) -> tuple[str, ...]:
        """The links whose transforms are needed, each once, in the order of the URDF."""
        return tuple(dict.fromkeys(body.link for body in self.bodies))


def read_robot_geometry(
    urdf: str, growth_m: float = DEFAULT_GROWTH_M, find_package: Callable[[str], Path | None] | None = None
) -> RobotGeometry:
    """The links' bodies from URDF text; takes some tenths of a second.

    growth_m: by how much the bodies are grown outwards. Meshes are named as `file://` URLs, absolute paths, or
    `package://name/path`; `find_package` gives the share folder of a package (None = unknown), by default from
    $AMENT_PREFIX_PATH. Raises RobotGeometryError when the text is no URDF or no link has a readable geometry.
    """
    if not (np.isfinite(growth_m) and growth_m >= 0.0):
        raise RobotGeometryError(f"the robot's links can be grown by 0 m or more, not by {growth_m} m")
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise RobotGeometryError(f"the robot description is no XML ({error}): publish the URDF's text") from error
    if root.tag != "robot":
        raise RobotGeometryError(f"the robot description is no URDF: its root is <{root.tag}>, not <robot>")
    find_package = find_package or _package_in_ament_prefixes
    bodies: list[LinkBody] = []
    warnings: list[str] = []
    for link in root.findall("link"):
        name = link.get("name", "")
        complaints: list[str] = []
        points = _link_points(link, "collision", find_package, complaints)
        if not points:
            points = _link_points(link, "visual", find_package, complaints)
        for each in points:
            try:
                body = convex_body_around(each, _APPROXIMATION_M)
            except ValueError as error:
                complaints.append(str(error))
                continue
            bodies.append(LinkBody(name, body, body.grown(growth_m)))
        if complaints:
            left = "what is left of the link" if points else "the link"
            effect = f"only {left} is taken out of depth images" if points else f"{left} stays in depth images"
            warnings.append(f"link '{name}' of the robot description: {'; '.join(complaints)}; {effect}")
    if not bodies:
        detail = f" ({warnings[0]})" if warnings else ""
        raise RobotGeometryError(f"no link of the robot description has a geometry that can be read{detail}")
    return RobotGeometry(tuple(bodies), growth_m, tuple(warnings))


def _link_points(
    link: ElementTree.Element, kind: str, find_package: Callable[[str], Path | None], complaints: list[str]
) -> list[NDArray[np.float64]]:
    """For each geometry of that kind (collision, visual), points [N, 3] in the link's frame whose hull encloses it."""
    found = []
    for element in link.findall(kind):
        try:
            shape = element.find("geometry/*")
            if shape is None:
                raise ValueError(f"a {kind} element without a shape in its geometry")
            found.append(_origin(element.find("origin")).apply(_shape_points(shape, find_package)))
        except ValueError as error:
            complaints.append(str(error))
    return found


def _shape_points(shape: ElementTree.Element, find_package: Callable[[str], Path | None]) -> NDArray[np.float64]:
    if shape.tag == "mesh":
        return _mesh_points(_mesh_path(shape.get("filename", ""), find_package)) * _numbers(shape, "scale", 3, "1 1 1")
    if shape.tag == "box":
        return np.asarray(trimesh.creation.box(_numbers(shape, "size", 3)).vertices)
    if shape.tag == "sphere":
        sphere = trimesh.creation.icosphere(subdivisions=2)
        # The sphere shall lie inside the polyhedron, not the other way round.
        inner_radius = float(np.einsum("ij,ij->i", sphere.face_normals, sphere.triangles_center).min())
        return np.asarray(sphere.vertices) * (_numbers(shape, "radius", 1)[0] / inner_radius)
    if shape.tag == "cylinder":
        angles = np.linspace(0.0, 2.0 * np.pi, _ROUND_CORNERS, endpoint=False)
        radius = _numbers(shape, "radius", 1)[0] / np.cos(np.pi / _ROUND_CORNERS)
        half = _numbers(shape, "length", 1)[0] / 2.0
        ring = radius * np.column_stack([np.cos(angles), np.sin(angles)])
        return np.concatenate([np.column_stack([ring, np.full(len(ring), z)]) for z in (-half, half)])
    raise ValueError(f"the shape <{shape.tag}> is none of mesh, box, cylinder, sphere")


def _mesh_points(path: Path) -> NDArray[np.float64]:
    if not path.is_file():
        raise ValueError(f"the mesh {path} does not exist")
    try:
        mesh = trimesh.load_mesh(path, process=False)
    # trimesh's many readers raise whatever their formats and libraries raise; all of it means the same here.
    except Exception as error:
        raise ValueError(f"the mesh {path} cannot be read ({error})") from error
    points = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    if len(points) == 0:
        raise ValueError(f"the mesh {path} is empty")
    return points


def _mesh_path(named: str, find_package: Callable[[str], Path | None]) -> Path:
    if named.startswith("package://"):
        package, _, inside = named.removeprefix("package://").partition("/")
        folder = find_package(package)
        if folder is None:
            raise ValueError(f"the mesh {named} lies in a package that is not installed here")
        return folder / unquote(inside)
    if named.startswith("file:"):
        return Path(unquote(urlparse(named).path))
    if not Path(named).is_absolute():
        raise ValueError(f"the mesh '{named}' is named by a relative path: use package:// or file://")
    return Path(named)


def _package_in_ament_prefixes(package: str) -> Path | None:
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        folder = Path(prefix) / "share" / package
        if prefix and folder.is_dir():
            return folder
    return None


def _origin(element: ElementTree.Element | None) -> RigidTransform:
    if element is None:
        return RigidTransform.identity()
    # URDF's roll, pitch, yaw turn about fixed axes, in this order.
    rotation = Rotation.from_euler("xyz", _numbers(element, "rpy", 3, "0 0 0"))
    return RigidTransform.from_components(_numbers(element, "xyz", 3, "0 0 0"), rotation)


def _numbers(element: ElementTree.Element, name: str, count: int, default: str = "") -> NDArray[np.float64]:
    text = element.get(name, default)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f'<{element.tag} {name}="{text}"> should hold {count} number(s)')
    return values
