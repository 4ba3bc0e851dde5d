"""A robot's shapes from its URDF: primitives and meshes, what cannot be read, and growth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import trimesh

from giga_perception.convex_body import convex_body_around
from giga_perception.robot_geometry import RobotGeometryError, read_robot_geometry


def urdf(*links: str) -> str:
    return f'<robot name="made">{"".join(links)}</robot>'


def link(name: str, shape: str, kind: str = "collision", origin: str = "") -> str:
    return f'<link name="{name}"><{kind}>{origin}<geometry>{shape}</geometry></{kind}></link>'


BALL = link("ball", '<sphere radius="0.05"/>')


def distance_m(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Distance of points [N, 3] outwards from a closed mesh (negative = inside)."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
    return scene.compute_signed_distance(np.asarray(points, np.float32)).numpy()


def outside(normals, offsets_m, points) -> np.ndarray:
    """How far each point [N] lies beyond the body's planes (negative = inside)."""
    return (points @ normals.T + offsets_m).max(axis=1)


@pytest.mark.parametrize(
    ("shape", "mesh"),
    [
        ('<box size="0.1 0.2 0.3"/>', trimesh.creation.box([0.1, 0.2, 0.3])),
        ('<cylinder radius="0.05" length="0.2"/>', trimesh.creation.cylinder(radius=0.05, height=0.2, sections=200)),
        ('<sphere radius="0.05"/>', trimesh.creation.icosphere(subdivisions=4, radius=0.05)),
    ],
)
def test_a_body_encloses_its_shape_closely_and_grown_all_that_is_near(shape: str, mesh: trimesh.Trimesh) -> None:
    origin = '<origin xyz="0.1 0.2 0.3" rpy="0.3 -0.2 1.0"/>'
    (body,) = read_robot_geometry(urdf(link("it", shape, origin=origin)), growth_m=0.02).bodies
    matrix = trimesh.transformations.euler_matrix(0.3, -0.2, 1.0, axes="sxyz")
    matrix[:3, 3] = [0.1, 0.2, 0.3]
    mesh = mesh.copy()
    mesh.apply_transform(matrix)
    assert outside(body.body.normals, body.body.offsets_m, mesh.vertices).max() <= 1e-9
    assert distance_m(mesh, body.body.corners_m).max() < 0.005

    directions = trimesh.creation.icosphere(subdivisions=2).vertices
    around = (mesh.vertices[::7, None] + 0.02 * directions).reshape(-1, 3)
    assert outside(body.grown.normals, body.grown.offsets_m, around).max() <= 1e-9
    assert distance_m(mesh, body.grown.corners_m).max() < 0.03


def test_a_flat_plate_has_a_body_too() -> None:
    body = convex_body_around(np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]]), 0.002)
    assert np.ptp(body.corners_m[:, 2]) < 0.01


def test_meshes_are_found_by_url_path_and_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share" / "made robot"
    folder.mkdir(parents=True)
    trimesh.creation.box([0.1, 0.1, 0.1]).export(folder / "a.stl")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    for filename in ((folder / "a.stl").as_uri(), str(folder / "a.stl"), "package://made robot/a.stl"):
        geometry = read_robot_geometry(urdf(link("it", f'<mesh filename="{filename}" scale="2 2 2"/>')))
        assert geometry.warnings == ()
        np.testing.assert_allclose(geometry.bodies[0].body.corners_m.max(axis=0), 0.1, atol=0.003)
    found = read_robot_geometry(
        urdf(link("it", '<mesh filename="package://elsewhere/a.stl"/>')), find_package={"elsewhere": folder}.get
    )
    assert found.link_names == ("it",)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<mesh filename="file:///nowhere/a.stl"/>', "does not exist"),
        ('<mesh filename="package://nobody/a.stl"/>', "package that is not installed"),
        ('<mesh filename="a.stl"/>', "relative path"),
        ('<box size="1 2"/>', "3 number"),
        ('<sphere radius="big"/>', "1 number"),
        ('<cone radius="1"/>', "<cone>"),
        ("", "without a shape"),
    ],
)
def test_what_cannot_be_read_is_one_warning_naming_the_link(shape: str, reason: str) -> None:
    geometry = read_robot_geometry(urdf(BALL, link("odd", shape), '<link name="frame_only"/>'))
    assert geometry.link_names == ("ball",)
    (warning,) = geometry.warnings
    assert "'odd'" in warning
    assert reason in warning
    assert "stays in depth images" in warning


def test_an_unreadable_mesh_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "broken.stl").write_bytes(b"solid nothing")
    shape = f'<mesh filename="{tmp_path}/broken.stl"/>'
    assert "broken.stl" in read_robot_geometry(urdf(BALL, link("odd", shape))).warnings[0]


def test_the_visual_shape_serves_where_there_is_no_collision_shape() -> None:
    seen_only = link("seen", '<box size="0.1 0.1 0.1"/>', kind="visual")
    assert read_robot_geometry(urdf(seen_only)).link_names == ("seen",)
    broken = seen_only.replace("<visual>", '<collision><geometry><mesh filename="x"/></geometry></collision><visual>')
    geometry = read_robot_geometry(urdf(broken))
    assert geometry.link_names == ("seen",)
    assert "only what is left" in geometry.warnings[0]


@pytest.mark.parametrize(
    ("text", "growth_m", "reason"),
    [
        ("no xml", 0.02, "no XML"),
        ("<sdf/>", 0.02, "no URDF"),
        (urdf('<link name="frame_only"/>'), 0.02, "no link"),
        (urdf(link("odd", "<cone/>")), 0.02, "<cone>"),
        (urdf(BALL), -0.01, "grown"),
        (urdf(BALL), float("nan"), "grown"),
    ],
)
def test_a_description_of_no_use_is_refused_with_the_reason(text: str, growth_m: float, reason: str) -> None:
    with pytest.raises(RobotGeometryError, match=reason):
        read_robot_geometry(text, growth_m)
