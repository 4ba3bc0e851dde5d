"""Mesh files: what was written is what is read, by other programs too; and the sentences for bad names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import trimesh

from giga_perception.affordance_landscape import AffordanceLandscape
from giga_perception.mesh_file import MeshFileError, check_mesh_path, write_landscape, write_mesh

BALL = trimesh.creation.icosphere(subdivisions=2, radius=0.06)
BALL.apply_translation([0.15, 0.15, 0.15])


def landscape() -> AffordanceLandscape:
    affordance = np.linspace(0.0, 1.0, len(BALL.vertices), dtype=np.float32)
    affordance[::7] = np.nan
    return AffordanceLandscape(np.asarray(BALL.vertices), np.asarray(BALL.faces), affordance)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl", ".PLY"])
def test_a_mesh_comes_back_closed_and_in_its_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ball{suffix}"
    write_mesh(path, BALL)
    read = trimesh.load_mesh(path)
    assert read.is_watertight
    assert len(read.faces) == len(BALL.faces)
    assert read.volume == pytest.approx(BALL.volume, rel=1e-4)
    np.testing.assert_allclose(read.bounds, BALL.bounds, atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_a_landscape_comes_back_in_its_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"landscape{suffix}"
    write_landscape(path, landscape())
    read = o3d.io.read_triangle_mesh(str(path))
    # Corner by corner: a reader may number the vertices anew.
    corners = np.asarray(read.triangles)
    np.testing.assert_allclose(np.asarray(read.vertices)[corners], BALL.triangles, atol=1e-6)
    colours = np.asarray(read.vertex_colors)[corners]
    np.testing.assert_allclose(colours, landscape().colours()[BALL.faces], atol=0.5 / 255 + 1e-6)


def test_a_ply_holds_the_affordance_itself(tmp_path: Path) -> None:
    write_landscape(tmp_path / "landscape.ply", landscape())
    vertices = trimesh.load_mesh(tmp_path / "landscape.ply", process=False).metadata["_ply_raw"]["vertex"]["data"]
    np.testing.assert_allclose(vertices["quality"], np.nan_to_num(landscape().affordance))


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_an_empty_scene_is_an_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    write_mesh(path, trimesh.Trimesh())
    assert path.is_file()


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.ply").mkdir()
    for path, sentence in (
        (tmp_path / "scene.png", r"must end in one of \.ply, \.obj, \.stl"),
        (tmp_path / "nowhere" / "scene.ply", "there is no folder .*nowhere"),
        (tmp_path / "folder.ply", "is a folder"),
    ):
        with pytest.raises(MeshFileError, match=sentence):
            check_mesh_path(path)
        with pytest.raises(MeshFileError, match=sentence):
            write_mesh(path, BALL)
    with pytest.raises(MeshFileError, match=r"one of \.ply, \.obj"):
        write_landscape(tmp_path / "scene.stl", landscape())
