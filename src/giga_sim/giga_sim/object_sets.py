"""Sets of objects that scenes are made of: the parametric shapes, those of pybullet_data, or any folder of URDFs."""

from __future__ import annotations

import hashlib
import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import numpy as np
import trimesh
from numpy.typing import NDArray

from giga_perception.dataset import data_root
from giga_sim.parametric_objects import stands_upright, write_parametric_objects
from giga_sim.pybullet_objects import pybullet_objects
from giga_sim.surface_mesh import SurfaceMesh
from giga_sim.urdf_meshes import ObjectSetError, link_meshes, numbers

__all__ = ["PARAMETRIC", "PYBULLET_DATA", "ObjectModel", "ObjectSet", "ObjectSetError", "Split", "split_of"]

logger = logging.getLogger(__name__)

PARAMETRIC = "parametric"
PYBULLET_DATA = "pybullet_data"
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


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
        return cast(trimesh.Trimesh, trimesh.util.concatenate(link_meshes(self.urdf, "visual")))

    @cached_property
    def surface(self) -> SurfaceMesh:
        """The visual surface, ready for ray casting."""
        return SurfaceMesh(np.asarray(self.mesh.vertices), np.asarray(self.mesh.faces))

    @cached_property
    def parts(self) -> tuple[trimesh.Trimesh, ...]:
        """The convex hulls that the physics engine sees."""
        return tuple(mesh.convex_hull for mesh in link_meshes(self.urdf, "collision"))

    @cached_property
    def part_planes(self) -> tuple[NDArray[np.float64], ...]:
        """Of each convex part the planes [n, 4]: normal . point + offset <= 0 inside."""
        return tuple(_planes(part) for part in self.parts)

    @cached_property
    def inertial_origin_m(self) -> NDArray[np.float64]:
        """Where the centre of mass lies in the link's frame [3]."""
        origin = ElementTree.parse(self.urdf).getroot().find("link/inertial/origin")
        return numbers(origin.get("xyz", "0 0 0")) if origin is not None else np.zeros(3)

    @cached_property
    def has_inside(self) -> bool:
        """Whether the visual surface is closed, so that rays can tell its inside. Says so once where it is not."""
        if not self.mesh.is_watertight:
            logger.warning(
                "the surface of object %s is not closed: its occupancy is that of the convex parts "
                "that the physics engine sees",
                self.name,
            )
        return bool(self.mesh.is_watertight)

    def contains(self, points_m: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which points [n, 3], in the object's frame at scale 1, lie inside it.

        Where the convex parts are the solid, they decide; else rays against the visual surface; but where that is not
        closed and has no inside, the convex parts again.
        """
        inside = np.zeros(len(points_m), dtype=bool)
        candidates = np.flatnonzero(
            np.all((points_m >= self.mesh.bounds[0]) & (points_m <= self.mesh.bounds[1]), axis=1)
        )
        if not len(candidates):
            return inside
        points = np.asarray(points_m[candidates], dtype=np.float64)
        if self.is_union_of_parts or not self.has_inside:
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
        """``parametric``, ``pybullet_data``, or the path of a folder of URDFs (in it, or one folder further down).

        Raises ObjectSetError when there is no such set or the folder holds no URDF.
        """
        if name == PARAMETRIC:
            folder = write_parametric_objects(data_root() / "objects")
            models = [ObjectModel(path.stem, path, stands_upright(path.stem), True) for path in folder.glob("*.urdf")]
            return cls(PARAMETRIC, models)
        if name == PYBULLET_DATA:
            found = pybullet_objects()
            return cls(PYBULLET_DATA, [ObjectModel(o.name, o.urdf, o.stands, o.is_union_of_parts) for o in found])
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ObjectSetError(
                f"unknown object set {name!r}: say {PARAMETRIC!r}, {PYBULLET_DATA!r} or name a folder of URDF files"
            )
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


def _planes(part: trimesh.Trimesh) -> NDArray[np.float64]:
    normals = np.asarray(part.face_normals)
    offsets = -np.einsum("ij,ij->i", normals, part.vertices[part.faces[:, 0]])
    return np.unique(np.round(np.column_stack([normals, offsets]), 9), axis=0)
