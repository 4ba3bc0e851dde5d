"""Scenes: the same for a seed, inside the cube, and free of overlap where they must be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform

from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.object_sets import ObjectSet
from giga_sim.physics_world import PhysicsWorld
from giga_sim.scenes import PACKED_SCALE, PILE_SCALE, SCENE_KINDS, SceneKind, draw_object_count, make_scene, scene_kind


@pytest.fixture(scope="module")
def objects() -> ObjectSet:
    return ObjectSet.named("parametric")


@pytest.fixture
def world() -> Iterator[PhysicsWorld]:
    world = PhysicsWorld()
    yield world
    world.close()


def build(world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, seed: int) -> list[tuple[str, float, np.ndarray]]:
    world.reset()
    world.add_table()
    make_scene(world, kind, objects, 4, np.random.default_rng(seed))
    return [
        (simulated.model.name, simulated.scale, world.pose(body_id).as_matrix())
        for body_id, simulated in world.objects.items()
    ]


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_a_seed_gives_one_scene_inside_the_cube(world: PhysicsWorld, objects: ObjectSet, kind: SceneKind) -> None:
    first = build(world, kind, objects, 1)
    assert first
    assert len(first) <= 4
    # Round things roll on for longer than anyone waits, but slowly.
    assert max(np.linalg.norm(world.client.getBaseVelocity(body_id)[0]) for body_id in world.objects) < 0.1
    lowest, highest = PILE_SCALE if kind == "pile" else PACKED_SCALE
    for _, scale, pose in first:
        assert lowest <= scale <= highest
        assert np.all(pose[:3, 3] >= 0.0)
        assert np.all(pose[:3, 3] <= WORKSPACE_SIZE_M)
        assert pose[2, 3] > TABLE_HEIGHT_M
    assert len(world.immovable) == 1  # the table; a pile's tray is gone
    again = build(world, kind, objects, 1)
    assert [(name, scale) for name, scale, _ in again] == [(name, scale) for name, scale, _ in first]
    for (_, _, pose), (_, _, before) in zip(again, first, strict=True):
        np.testing.assert_array_equal(pose, before)
    assert [name for name, _, _ in build(world, kind, objects, 2)] != [name for name, _, _ in first]


def test_packed_objects_stand_and_do_not_touch(world: PhysicsWorld, objects: ObjectSet) -> None:
    for seed in range(3):
        for name, _, pose in build(world, "packed", objects, seed):
            assert pose[2, 2] > 0.99, f"{name} fell over"
        ids = list(world.objects)
        for index, body in enumerate(ids):
            for other in ids[index + 1 :]:
                assert not world.client.getClosestPoints(body, other, -0.001)


def test_what_leaves_the_cube_is_removed(world: PhysicsWorld, objects: ObjectSet) -> None:
    build(world, "packed", objects, 1)
    count = len(world.objects)
    body_id = next(iter(world.objects))
    world.set_pose(body_id, RigidTransform.from_translation([0.5, 0.15, 0.2]))
    world.settle()
    assert len(world.objects) == count - 1
    assert body_id not in world.objects


def test_object_counts_are_one_and_more() -> None:
    rng = np.random.default_rng(0)
    counts = [draw_object_count(rng) for _ in range(500)]
    assert min(counts) >= 1
    assert 4.7 < np.mean(counts) < 5.3


def test_an_unknown_kind_gets_a_sentence() -> None:
    assert scene_kind("packed") == "packed"
    with pytest.raises(ValueError, match="unknown scene 'heap': say one of pile, packed"):
        scene_kind("heap")
