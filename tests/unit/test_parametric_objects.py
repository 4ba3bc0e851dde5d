"""The parametric shapes: closed, graspable, always the same; and the sets and splits made of objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from giga_sim.gripper_hand import MAX_WIDTH_M
from giga_sim.object_sets import ObjectModel, ObjectSet, ObjectSetError, split_of
from giga_sim.parametric_objects import make_shape, parametric_names, stands_upright, write_parametric_objects

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


def test_a_wrong_set_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ObjectSetError, match=r"unknown object set 'teapots'.*'parametric'"):
        ObjectSet.named("teapots")
    with pytest.raises(ObjectSetError, match=r"holds no \*\.urdf"):
        ObjectSet.named(str(tmp_path))
    (tmp_path / "broken.urdf").write_text("<robot><link>")
    with pytest.raises(ObjectSetError, match=r"broken\.urdf.*cannot be read"):
        _ = ObjectSet.named(str(tmp_path))[0].mesh
