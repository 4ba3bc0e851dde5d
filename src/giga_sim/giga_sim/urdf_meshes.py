"""The meshes that a URDF names for its only link, read as the physics engine reads them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


class ObjectSetError(Exception):
    """An object set cannot be used; the message says which and what to do."""


def numbers(text: str) -> NDArray[np.float64]:
    """The numbers of an attribute like ``0 0 0.1``."""
    return np.array([float(word) for word in text.split()])


def link_meshes(urdf: Path, element: str) -> list[trimesh.Trimesh]:
    """The only link's visual or collision shapes in its frame: one for each box, sphere, and object of an OBJ file.

    Raises ObjectSetError, naming the file, when it cannot be read or holds other shapes.
    """
    try:
        link = ElementTree.parse(urdf).getroot().find("link")
        nodes = [] if link is None else link.findall(element)
        meshes = []
        for node in nodes:
            pieces = _pieces(urdf, node, element)
            transform = np.eye(4)
            origin = node.find("origin")
            if origin is not None:
                transform[:3, :3] = Rotation.from_euler("xyz", numbers(origin.get("rpy", "0 0 0"))).as_matrix()
                transform[:3, 3] = numbers(origin.get("xyz", "0 0 0"))
            for placed in pieces:
                placed.merge_vertices()
                meshes.append(placed.apply_transform(transform))
    except (OSError, ElementTree.ParseError, ValueError, IndexError, KeyError) as error:
        raise ObjectSetError(f"{urdf} or a mesh that it names cannot be read: {error}") from error
    if not meshes:
        raise ObjectSetError(f"{urdf} has no {element} mesh in its first link")
    return meshes


def _pieces(urdf: Path, node: ElementTree.Element, element: str) -> list[trimesh.Trimesh]:
    """The shapes of one visual or collision element, in that element's frame."""
    mesh, box, sphere = (node.find(f"geometry/{name}") for name in ("mesh", "box", "sphere"))
    if mesh is not None:
        scale = numbers(mesh.get("scale", "1 1 1"))
        pieces = read_obj(urdf.parent / mesh.attrib["filename"])
        return [trimesh.Trimesh(vertices * scale, faces, process=False) for vertices, faces in pieces]
    if box is not None:
        return [trimesh.creation.box(numbers(box.attrib["size"]))]
    if sphere is not None:
        return [trimesh.creation.icosphere(subdivisions=3, radius=float(sphere.attrib["radius"]))]
    raise ObjectSetError(f"{urdf}: only meshes, boxes and spheres are understood as the {element} shape of an object")


def read_obj(path: Path) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Vertices and triangles of each object or group of an OBJ file: the pieces that the physics engine tells apart."""
    vertices: list[list[float]] = []
    pieces: list[list[list[int]]] = [[]]
    for line in path.read_text().splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] in ("o", "g"):
            pieces.append([])
        elif words[0] == "f":
            corners = [int(word.partition("/")[0]) for word in words[1:]]
            corners = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
            pieces[-1] += [[corners[0], b, c] for b, c in pairwise(corners[1:])]
    if not any(pieces):
        raise ValueError(f"{path} holds no face")
    result = []
    for faces in filter(None, pieces):
        used, renumbered = np.unique(np.array(faces), return_inverse=True)
        result.append((np.array(vertices)[used], renumbered.reshape(-1, 3)))
    return result
