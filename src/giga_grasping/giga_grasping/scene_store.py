"""The perceived scene as planning requests name it: set once, referred to by its id."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.cell import BoxObstacle

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_TRIANGLES = 4000
_LONGEST_EDGE_M = 0.015


class SceneError(ValueError):
    """A scene cannot be used; the message is for a person."""


@dataclass(frozen=True)
class PerceivedScene:
    """What was reconstructed, in the robot's base frame."""

    vertices_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    """[V, 3]."""
    triangles: IntArray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    """[T, 3] vertex indices."""
    unseen: tuple[BoxObstacle, ...] = ()
    """Space nobody saw."""

    @property
    def corners_m(self) -> FloatArray:
        """The triangles' corners [T, 3, 3]."""
        return np.asarray(self.vertices_m[self.triangles])


EMPTY_SCENE = PerceivedScene()


def perceived_scene(
    vertices_m: FloatArray,
    triangles: IntArray,
    T_base_scene: RigidTransform,
    unseen: tuple[BoxObstacle, ...] = (),
) -> PerceivedScene:
    """Check a reconstructed mesh and bring it into the base frame.

    Long triangles are cut, so that a target is taken out of the scene about where it ends and not a whole large
    triangle with it.

    Args:
        vertices_m: [V, 3] in the scene's frame.
        triangles: [T, 3] vertex indices, T at most `MAX_TRIANGLES`.
        T_base_scene: the scene's frame in the robot's base frame.
        unseen: boxes already in the base frame.

    Raises:
        SceneError: too many triangles, an index out of range, a coordinate that is not finite.
    """
    if len(triangles) > MAX_TRIANGLES:
        raise SceneError(
            f"The scene's mesh has {len(triangles)} triangles; at most {MAX_TRIANGLES} are taken: decimate it."
        )
    if not np.all(np.isfinite(vertices_m)):
        raise SceneError("The scene's mesh has a vertex that is not finite.")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices_m)):
        raise SceneError("The scene's mesh has a triangle that names a vertex which is not there.")
    if not len(triangles):
        return PerceivedScene(unseen=unseen)
    vertices, cut = _cut_long_edges(T_base_scene.apply(vertices_m), triangles)
    return PerceivedScene(vertices, cut, unseen)


def _cut_long_edges(vertices_m: FloatArray, triangles: IntArray) -> tuple[FloatArray, IntArray]:
    """Halve each triangle's longest edge until none is too long; stops at ten times the allowed number of triangles."""
    while True:
        corners = vertices_m[triangles]
        lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        long = lengths.max(axis=1) > _LONGEST_EDGE_M
        if not long.any() or len(triangles) + long.sum() > 10 * MAX_TRIANGLES:
            return vertices_m, triangles
        first = lengths[long].argmax(axis=1)
        rows = np.arange(len(first))
        a = triangles[long][rows, first]
        b = triangles[long][rows, (first + 1) % 3]
        c = triangles[long][rows, (first + 2) % 3]
        middle = len(vertices_m) + rows
        vertices_m = np.concatenate([vertices_m, 0.5 * (vertices_m[a] + vertices_m[b])])
        halves = [np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)]
        triangles = np.concatenate([triangles[~long], *halves])


class SceneStore:
    """The newest scenes by id. The empty id is the cell without anything perceived."""

    def __init__(self, capacity: int = 8) -> None:
        self._capacity = capacity
        self._count = 0
        self._scenes: OrderedDict[str, PerceivedScene] = OrderedDict()

    def add(self, scene: PerceivedScene) -> str:
        """Keep a scene, forgetting the oldest when there are too many; its id."""
        self._count += 1
        scene_id = f"scene-{self._count}"
        self._scenes[scene_id] = scene
        while len(self._scenes) > self._capacity:
            self._scenes.popitem(last=False)
        return scene_id

    def get(self, scene_id: str) -> PerceivedScene | None:
        """The scene of that id, or None when it is not (or no longer) known."""
        return EMPTY_SCENE if scene_id == "" else self._scenes.get(scene_id)

    def known_ids(self) -> tuple[str, ...]:
        """Ids that `get` answers, oldest first."""
        return tuple(self._scenes)
