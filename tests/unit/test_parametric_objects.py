"""The parametric shapes: closed, graspable, always the same; and the sets and splits made of objects."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform

from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.dataset_generation import GenerationPlan, check_plan
from giga_sim.gripper_hand import MAX_WIDTH_M
from giga_sim.label_generation import GenerationSettings
from giga_sim.object_sets import ObjectModel, ObjectSet, ObjectSetError, split_of
from giga_sim.parametric_objects import (
    make_shape,
    parametric_kind,
    parametric_names,
    stands_upright,
    write_parametric_objects,
)
from giga_sim.physics_world import PhysicsWorld

ONE_OF_EACH_KIND = [name for name in parametric_names() if name.endswith("_004")]


@pytest.fixture(scope="module")
def parametric() -> ObjectSet:
    return ObjectSet.named("parametric")


def test_there_are_many_and_their_names_are_their_own() -> None:
    names = parametric_names()
    assert len(names) >= 200
    assert len(set(names)) == len(names)
    assert any(stands_upright(name) for name in names)
    assert not stands_upright("ring_000")


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_a_shape_is_closed_centred_and_graspable(name: str) -> None:
    shape = make_shape(name)
    assert shape.mesh.is_watertight
    assert shape.mesh.volume > 0.0
    assert all(part.is_convex and part.volume > 0.0 for part in shape.parts)
    # Surface and convex parts fill the same box, around the centre of mass.
    corners = np.vstack([part.vertices for part in shape.parts])
    np.testing.assert_allclose(shape.mesh.bounds, [corners.min(axis=0), corners.max(axis=0)], atol=1e-9)
    volumes = np.array([part.volume for part in shape.parts])
    centres = np.array([part.center_mass for part in shape.parts])
    np.testing.assert_allclose(volumes @ centres / volumes.sum(), 0.0, atol=1e-9)
    if not name.startswith(("bowl", "cup", "mug")):  # these are held by their rim
        assert shape.mesh.bounding_box_oriented.primitive.extents.min() < MAX_WIDTH_M
    assert 0.02 <= shape.mass_kg <= 0.5


def test_a_shape_depends_on_its_name_alone() -> None:
    np.testing.assert_array_equal(make_shape("mug_003").mesh.vertices, make_shape("mug_003").mesh.vertices)
    assert make_shape("mug_003").mesh.volume != make_shape("mug_004").mesh.volume


def test_no_shape_has_changed() -> None:
    """Stored data sets were made of these very shapes: a seed must go on making the same scene."""
    digest = hashlib.sha256()
    for name in parametric_names():
        shape = make_shape(name)
        for mesh in (shape.mesh, *shape.parts):
            # To 10 micrometres: other processors may round the last bits otherwise.
            digest.update(np.round(np.sort(np.asarray(mesh.extents)) * 1e5).astype(np.int64).tobytes())
        digest.update(f"{name} {len(shape.parts)} {len(shape.mesh.faces)} {shape.mass_kg:.4f}".encode())
    assert digest.hexdigest()[:16] == "452852910d7ac2d1"


def test_there_are_as_many_of_every_household_kind() -> None:
    kinds = Counter(parametric_kind(name) for name in parametric_names())
    assert len(kinds) == 17
    assert set(kinds.values()) == {15}
    assert {"box", "bottle", "cup", "bowl", "hammer", "screwdriver", "ring", "toy"} <= set(kinds)
    assert [parametric_kind(name) for name in ("mug_003", "teapot_003", "mug", "mug_x")] == ["mug", None, None, None]


def test_hollow_things_are_hollow() -> None:
    for name in ("cup_001", "bowl_001", "ring_001"):
        shape = make_shape(name)
        assert shape.mesh.volume < 0.6 * shape.mesh.convex_hull.volume


def test_files_are_written_once_and_nothing_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("giga_sim.parametric_objects.parametric_names", lambda: ("ball_000", "cup_000"))
    folder = write_parametric_objects(tmp_path)
    stamp = (folder / "cup_000.urdf").stat().st_mtime_ns
    assert write_parametric_objects(tmp_path) == folder
    assert (folder / "cup_000.urdf").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert len(list(folder.iterdir())) == 6


def test_what_was_written_is_what_was_made(parametric: ObjectSet) -> None:
    model = next(model for model in parametric if model.name == "mug_003")
    shape = make_shape("mug_003")
    assert len(model.parts) == len(shape.parts)
    np.testing.assert_allclose(model.mesh.bounds, shape.mesh.bounds, atol=1e-6)
    assert model.mesh.is_watertight


def test_a_cup_holds_matter_in_its_wall_only(parametric: ObjectSet) -> None:
    model = next(model for model in parametric if model.name == "cup_003")
    low, high = model.mesh.bounds
    middle = [(low + high) / 2.0, [*((low + high) / 2.0)[:2], low[2] + 0.001], [0.0, 0.0, high[2] + 0.01]]
    assert model.contains(np.array(middle)).tolist() == [False, True, False]
    points = np.random.default_rng(0).uniform(low, high, (4000, 3))
    # The parts' planes and rays against the surface are two ways to the same answer.
    assert np.mean(model.contains(points) != model.surface.contains(points)) < 0.002


def test_splits_go_by_name_and_share_nothing(parametric: ObjectSet) -> None:
    names = {split: {model.name for model in parametric.split(split)} for split in ("train", "val", "test")}
    assert sum(len(of_split) for of_split in names.values()) == len(parametric)
    assert 0.7 < len(names["train"]) / len(parametric) < 0.9
    assert min(len(of_split) for of_split in names.values()) >= 10
    assert {split_of(name) for name in names["val"]} == {"val"}


def test_standing_objects_are_a_part(parametric: ObjectSet) -> None:
    standing = parametric.standing()
    assert 0 < len(standing) < len(parametric)
    assert all(isinstance(model, ObjectModel) and model.stands for model in standing)


@pytest.fixture(scope="module")
def pybullet_data_set() -> ObjectSet:
    return ObjectSet.named("pybullet_data")


def test_objects_of_pybullet_data_fall_into_splits(pybullet_data_set: ObjectSet) -> None:
    assert len(pybullet_data_set) > 900
    assert len({model.name for model in pybullet_data_set}) == len(pybullet_data_set)
    assert {"duck_vhacd", "mug", "jenga", "blocks_000"} <= {model.name for model in pybullet_data_set}
    for split in ("train", "val", "test"):
        part = pybullet_data_set.split(split)
        assert {split_of(model.name) for model in part} == {split}
        assert len(part.standing()) >= 20


def test_objects_of_pybullet_data_fit_the_cube_and_stand_where_they_should(pybullet_data_set: ObjectSet) -> None:
    world = PhysicsWorld()
    household = [model for model in pybullet_data_set if not model.name.startswith("blocks_")]
    for model in [*household, *pybullet_data_set[:900:60]]:
        assert np.all(np.isfinite(model.mesh.vertices))
        assert model.mesh.extents.min() > 0.012
        assert model.mesh.extents.max() < 0.22
        corners = np.vstack([part.vertices for part in model.parts])
        np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], model.mesh.bounds, atol=0.006)
        if not model.stands:
            continue
        world.reset()
        world.add_table()
        added = world.add_object(model, RigidTransform.from_translation([0.15, 0.15, 1.0]), 0.8)
        height_m = 1.0 - world.lower_corner_m(added.body_id)[2]
        world.set_pose(added.body_id, RigidTransform.from_translation([0.15, 0.15, TABLE_HEIGHT_M + height_m + 0.002]))
        world.wait_until_rest()
        assert world.pose(added.body_id).rotation.as_matrix()[2, 2] > np.cos(np.radians(5.0)), model.name


def test_a_packed_plan_needs_objects_that_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("giga_sim.object_sets.stands_upright", lambda name: False)
    plan = GenerationPlan(tmp_path, 1, ("packed",), ("parametric",), 0, GenerationSettings())
    with pytest.raises(ObjectSetError, match="stands upright"):
        check_plan(plan)


def open_box_urdf(folder: Path) -> Path:
    """A cube of 4 cm whose visual surface lacks its top, with a box as collision shape."""
    mesh = trimesh.creation.box([0.04, 0.04, 0.04])
    mesh.update_faces(mesh.face_normals[:, 2] < 0.5)
    (folder / "tub.obj").write_text(mesh.export(file_type="obj"))
    path = folder / "tub.urdf"
    path.write_text(
        '<robot name="tub"><link name="l"><visual><geometry><mesh filename="tub.obj"/></geometry></visual>'
        '<collision><geometry><box size="0.04 0.04 0.04"/></geometry></collision></link></robot>'
    )
    return path


def test_an_open_surface_is_told_and_its_convex_parts_decide(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_box_urdf(tmp_path)
    (model,) = ObjectSet.named(str(tmp_path))
    points = np.random.default_rng(0).uniform(-0.03, 0.03, (500, 3))
    expected = np.all(np.abs(points) <= 0.02, axis=1)
    for _ in range(2):
        np.testing.assert_array_equal(model.contains(points), expected)
    assert [record.getMessage().count("tub is not closed") for record in caplog.records] == [1]


def test_the_authors_objects_are_closed(shared_data: Path) -> None:
    for model in ObjectSet.named(str(shared_data / "vgn_objects" / "packed" / "train"))[::10]:
        assert model.has_inside, model.name


def test_shapes_that_are_not_understood_are_named(tmp_path: Path) -> None:
    (tmp_path / "pipe.urdf").write_text(
        '<robot name="p"><link name="l"><visual><geometry><cylinder radius="1" length="1"/></geometry></visual>'
        "</link></robot>"
    )
    with pytest.raises(ObjectSetError, match=r"pipe\.urdf: only meshes, boxes and spheres"):
        _ = ObjectSet.named(str(tmp_path))[0].mesh


def test_a_wrong_set_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ObjectSetError, match=r"unknown object set 'teapots'.*'parametric'"):
        ObjectSet.named("teapots")
    with pytest.raises(ObjectSetError, match=r"holds no \*\.urdf"):
        ObjectSet.named(str(tmp_path))
    (tmp_path / "broken.urdf").write_text("<robot><link>")
    with pytest.raises(ObjectSetError, match=r"broken\.urdf.*cannot be read"):
        _ = ObjectSet.named(str(tmp_path))[0].mesh
