"""Random scenes on the table, by the benchmark's rules: piles of dropped objects, and packed ones standing upright."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.cell import Box
from giga_sim.object_sets import ObjectModel, ObjectSet
from giga_sim.physics_world import PhysicsWorld

SceneKind = Literal["pile", "packed"]
SCENE_KINDS: tuple[SceneKind, ...] = ("pile", "packed")

PILE_SCALE = (0.8, 1.0)
PILE_DROP_HEIGHT_M = 0.20
PILE_REST_TIMEOUT_S = 1.0
# The open box that keeps a pile together while it forms: outer corners, wall and height.
TRAY_LOWER_M, TRAY_UPPER_M, TRAY_WALL_M, TRAY_HEIGHT_M = 0.02, 0.28, 0.004, 0.13
# Thickened outwards only, so that nothing dropped fast passes through a wall.
TRAY_OUTSIDE_M = 0.05

PACKED_SCALE = (0.7, 0.9)
PACKED_RANGE_M = (0.08, 0.22)
PACKED_TRIES = 12
PACKED_GAP_M = 0.002

GENERATION_MEAN_EXTRA_OBJECTS = 4.0


def scene_kind(name: str) -> SceneKind:
    """The kind of that name. Raises ValueError, with a sentence, for any other."""
    if name not in SCENE_KINDS:
        raise ValueError(f"unknown scene {name!r}: say one of {', '.join(SCENE_KINDS)}")
    return name


def draw_object_count(rng: np.random.Generator) -> int:
    """How many objects a scene for training gets: Poisson(4) + 1."""
    return int(rng.poisson(GENERATION_MEAN_EXTRA_OBJECTS)) + 1


def make_scene(world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, count: int, rng: np.random.Generator) -> None:
    """Fill a world that holds a table; afterwards everything in `world.objects` rests inside the cube.

    A packed scene may hold fewer than `count`, and so may a pile from which something rolled away.
    """
    if kind == "pile":
        drop_pile(world, objects, count, rng)
    else:
        pack(world, objects, count, rng)


def drop_pile(world: PhysicsWorld, objects: ObjectSet, count: int, rng: np.random.Generator) -> None:
    """Drop objects one by one, drawn with replacement and turned at random, into a tray that is then taken away."""
    tray = [world.add_box(wall) for wall in _tray_walls()]
    for index in rng.integers(len(objects), size=count):
        quaternion = rng.normal(size=4)
        xy = rng.uniform(WORKSPACE_SIZE_M / 3.0, WORKSPACE_SIZE_M * 2.0 / 3.0, size=2)
        position = [*xy, TABLE_HEIGHT_M + PILE_DROP_HEIGHT_M]
        pose = RigidTransform.from_components(position, Rotation.from_quat(quaternion))
        world.add_object(_model(objects, int(index)), pose, rng.uniform(*PILE_SCALE))
        world.wait_until_rest(PILE_REST_TIMEOUT_S)
    for wall in tray:
        world.remove(wall)
    world.settle()


def pack(world: PhysicsWorld, objects: ObjectSet, count: int, rng: np.random.Generator) -> None:
    """Stand objects upright side by side; a place that touches anything is given up; 12 tries in all."""
    standing = objects.standing()
    for _ in range(PACKED_TRIES):
        if len(world.objects) >= count:
            break
        model = _model(standing, int(rng.integers(len(standing))))
        x, y = rng.uniform(*PACKED_RANGE_M, size=2)
        upright = Rotation.from_rotvec([0.0, 0.0, rng.uniform(0.0, 2.0 * np.pi)])
        scale = rng.uniform(*PACKED_SCALE)
        before = world.client.saveState()
        far_above = RigidTransform.from_components([x, y, 1.0], upright)
        added = world.add_object(model, far_above, scale)
        height_above_base = 1.0 - world.lower_corner_m(added.body_id)[2]
        z = TABLE_HEIGHT_M + height_above_base + PACKED_GAP_M
        world.set_pose(added.body_id, RigidTransform.from_components([x, y, z], upright))
        world.step()
        if world.has_contact(added.body_id):
            world.remove(added.body_id)
            world.client.restoreState(before)
        else:
            world.settle()
        world.client.removeState(before)


def _model(objects: ObjectSet, index: int) -> ObjectModel:
    return cast(ObjectModel, objects[index])


def _tray_walls() -> list[Box]:
    lower, upper = TRAY_LOWER_M - TRAY_OUTSIDE_M, TRAY_UPPER_M + TRAY_OUTSIDE_M
    inner_lower, inner_upper = TRAY_LOWER_M + TRAY_WALL_M, TRAY_UPPER_M - TRAY_WALL_M
    middle, z = (lower + upper) / 2.0, TABLE_HEIGHT_M + TRAY_HEIGHT_M / 2.0
    thickness, length = inner_lower - lower, upper - lower
    walls = []
    for edge in ((lower + inner_lower) / 2.0, (upper + inner_upper) / 2.0):
        walls.append(Box(np.array([edge, middle, z]), np.array([thickness, length, TRAY_HEIGHT_M])))
        walls.append(Box(np.array([middle, edge, z]), np.array([length, thickness, TRAY_HEIGHT_M])))
    return walls
