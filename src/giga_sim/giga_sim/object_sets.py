"""Sets of objects that scenes are made of: the parametric shapes, or any folder of URDF files."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from giga_perception.dataset import data_root
from giga_sim.parametric_objects import stands_upright, write_parametric_objects
from giga_sim.surface_mesh import SurfaceMesh

PARAMETRIC = "parametric"
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class ObjectSetError(Exception):
    """An object set cannot be used; the message says which and what to do."""


def split_of(name: str) -> Split:
    """The split of an object, by its name alone: 80 % train, 10 % val, 10 % test, the same in every folder."""
    share = int.from_bytes(hashlib.sha256(f"split:{name}".encode()).digest()[:4], "little") / 2**32
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """One rigid object: its URDF and what it says, at scale 1, in the frame of its only link.

    stands: whether it stands upright by itself and may be used in packed scenes.
    is_union_of_parts: whether its convex parts are the solid itself, not an approximation.
    """

    name: str
    urdf: Path
    stands: bool
    is_union_of_parts: bool

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """The visual surface."""
        return cast(trimesh.Trimesh, trimesh.util.concatenate(_link_meshes(self.urdf, "visual")))

    @cached_property
    def surface(self) -> SurfaceMesh:
        """The visual surface, ready for ray casting."""
        return SurfaceMesh(np.asarray(self.mesh.vertices), np.asarray(self.mesh.faces))

    @cached_property
    def parts(self) -> tuple[trimesh.Trimesh, ...]:
        """The convex hulls that the physics engine sees."""
        return tuple(mesh.convex_hull for mesh in _link_meshes(self.urdf, "collision"))

    @cached_property
    def part_planes(self) -> tuple[NDArray[np.float64], ...]:
        """Of each convex part the planes [n, 4]: normal . point + offset <= 0 inside."""
        return tuple(_planes(part) for part in self.parts)

    @cached_property
    def inertial_origin_m(self) -> NDArray[np.float64]:
        """Where the centre of mass lies in the link's frame [3]."""
        origin = ElementTree.parse(self.urdf).getroot().find("link/inertial/origin")
        return _numbers(origin.get("xyz", "0 0 0")) if origin is not None else np.zeros(3)

    def contains(self, points_m: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which points [n, 3], in the object's frame at scale 1, lie inside it."""
        inside = np.zeros(len(points_m), dtype=bool)
        candidates = np.flatnonzero(
            np.all((points_m >= self.mesh.bounds[0]) & (points_m <= self.mesh.bounds[1]), axis=1)
        )
        if not len(candidates):
            return inside
        points = np.asarray(points_m[candidates], dtype=np.float64)
        if self.is_union_of_parts:
            hit = np.zeros(len(points), dtype=bool)
            for part, planes in zip(self.parts, self.part_planes, strict=True):
                near = np.flatnonzero(~hit & np.all((points >= part.bounds[0]) & (points <= part.bounds[1]), axis=1))
                hit[near] = np.all(points[near] @ planes[:, :3].T + planes[:, 3] <= 0.0, axis=1)
        else:
            hit = self.surface.contains(points)
        inside[candidates] = hit
        return inside


class ObjectSet(Sequence[ObjectModel]):
    """Objects in the order of their names; `label` is what a user calls the set."""

    def __init__(self, label: str, models: Sequence[ObjectModel]) -> None:
        self.label = label
        self._models = tuple(sorted(models, key=lambda model: model.name))

    @classmethod
    def named(cls, name: str) -> ObjectSet:
        """``parametric``, or the path of a folder of URDFs (in it, or one folder further down).

        Raises ObjectSetError when there is no such set or the folder holds no URDF.
        """
        if name == PARAMETRIC:
            folder = write_parametric_objects(data_root() / "objects")
            models = [ObjectModel(path.stem, path, stands_upright(path.stem), True) for path in folder.glob("*.urdf")]
            return cls(PARAMETRIC, models)
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ObjectSetError(f"unknown object set {name!r}: say {PARAMETRIC!r} or name a folder of URDF files")
        paths = list(folder.glob("*.urdf")) or list(folder.glob("*/*.urdf"))
        if not paths:
            raise ObjectSetError(f"object set {name!r}: the folder holds no *.urdf file")
        return cls(str(folder), [ObjectModel(path.stem, path, True, False) for path in paths])

    def split(self, split: Split) -> ObjectSet:
        """Only the objects of that split. Raises ObjectSetError when none is left."""
        kept = [model for model in self if split_of(model.name) == split]
        if not kept:
            raise ObjectSetError(f"object set {self.label!r} has no object in the split {split!r} ({len(self)} in all)")
        return ObjectSet(self.label, kept)

    def standing(self) -> ObjectSet:
        """Only the objects fit for packed scenes. Raises ObjectSetError when none is left."""
        kept = [model for model in self if model.stands]
        if not kept:
            raise ObjectSetError(f"object set {self.label!r} has no object that stands upright, as packed scenes need")
        return ObjectSet(self.label, kept)

    def __len__(self) -> int:
        return len(self._models)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, as in any sequence
        return self._models[index]


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array([float(word) for word in text.split()])


def _link_meshes(urdf: Path, element: str) -> list[trimesh.Trimesh]:
    """The meshes of the only link's visual or collision elements, one for each object of an OBJ file."""
    try:
        link = ElementTree.parse(urdf).getroot().find("link")
        nodes = [] if link is None else link.findall(element)
        meshes = []
        for node in nodes:
            mesh_node = node.find("geometry/mesh")
            if mesh_node is None:
                raise ObjectSetError(f"{urdf}: only meshes are understood as the {element} shape of an object")
            pieces = read_obj(urdf.parent / mesh_node.attrib["filename"])
            transform = np.eye(4)
            origin = node.find("origin")
            if origin is not None:
                transform[:3, :3] = Rotation.from_euler("xyz", _numbers(origin.get("rpy", "0 0 0"))).as_matrix()
                transform[:3, 3] = _numbers(origin.get("xyz", "0 0 0"))
            scale = _numbers(mesh_node.get("scale", "1 1 1"))
            for vertices, faces in pieces:
                placed = trimesh.Trimesh(vertices * scale, faces, process=False)
                placed.merge_vertices()
                meshes.append(placed.apply_transform(transform))
    except (OSError, ElementTree.ParseError, ValueError, IndexError) as error:
        raise ObjectSetError(f"{urdf} or a mesh that it names cannot be read: {error}") from error
    if not meshes:
        raise ObjectSetError(f"{urdf} has no {element} mesh in its first link")
    return meshes


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


def _planes(part: trimesh.Trimesh) -> NDArray[np.float64]:
    normals = np.asarray(part.face_normals)
    offsets = -np.einsum("ij,ij->i", normals, part.vertices[part.faces[:, 0]])
    return np.unique(np.round(np.column_stack([normals, offsets]), 9), axis=0)
