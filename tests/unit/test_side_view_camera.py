"""The simulated depth camera against geometry known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import PinholeCamera
from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.physics_world import DEFAULT_TABLE
from giga_sim.side_view_camera import CAMERA, PlacedMesh, look_at, render_depth, side_view, visible_surface
from giga_sim.surface_mesh import SurfaceMesh

SMALL = PinholeCamera(width=64, height=48, fx=54.0, fy=54.0, cx=32.0, cy=24.0)


@pytest.fixture(scope="module")
def cube() -> SurfaceMesh:
    """A cube of side 1 around its origin."""
    box = trimesh.creation.box([1.0, 1.0, 1.0])
    return SurfaceMesh(box.vertices, box.faces)


def from_above(distance_m: float) -> RigidTransform:
    return look_at([0.15, 0.15, TABLE_HEIGHT_M], distance_m, 0.0, -np.pi / 2.0)


def test_the_side_view_stands_where_the_benchmark_says() -> None:
    T_workspace_camera = side_view().inv()
    np.testing.assert_allclose(
        T_workspace_camera.translation, [0.15, 0.15 - 0.6 * np.sin(np.pi / 3), 0.10 + 0.6 * np.cos(np.pi / 3)]
    )
    rotation = T_workspace_camera.rotation.as_matrix()
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation[:, 0], [1.0, 0.0, 0.0], atol=1e-12)  # image right = workspace x
    assert rotation[2, 1] < 0.0  # image down points down
    np.testing.assert_allclose(side_view().apply([0.15, 0.15, 0.10]), [0.0, 0.0, 0.6], atol=1e-12)


def test_the_table_from_above_is_flat() -> None:
    depth = render_depth([], CAMERA, from_above(0.5), table=DEFAULT_TABLE)
    assert depth.shape == (480, 640)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, 0.5, atol=1e-6)


def test_depth_is_measured_along_the_axis_whatever_pose_and_scale(cube: SurfaceMesh) -> None:
    turned = RigidTransform.from_components([0.15, 0.15, TABLE_HEIGHT_M + 0.05], Rotation.from_euler("z", np.pi / 2))
    placed = PlacedMesh(cube, turned, 0.1)
    depth = render_depth([placed], SMALL, from_above(0.6), table=DEFAULT_TABLE)
    assert depth[24, 32] == pytest.approx(0.5, abs=1e-5)
    assert depth[0, 0] == pytest.approx(0.6, abs=1e-5)
    # The top face, 0.1 m wide at 0.5 m, covers 10.8 pixels of each axis.
    assert np.count_nonzero(np.abs(depth - 0.5) < 1e-4) == pytest.approx(10.8**2, rel=0.15)


def test_the_nearer_mesh_hides_the_other_in_either_order(cube: SurfaceMesh) -> None:
    near = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 0.2]), 0.04)
    far = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 0.1]), 0.1)
    images = [render_depth(order, SMALL, from_above(0.6), table=None) for order in ([near, far], [far, near])]
    np.testing.assert_array_equal(images[0], images[1])
    assert images[0][24, 32] == pytest.approx(0.65 - 0.22, abs=1e-5)
    assert images[0][0, 0] == 0.0  # nothing there


def test_what_is_too_near_or_too_far_gives_no_reading(cube: SurfaceMesh) -> None:
    view = from_above(0.6)
    ahead = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 0.6]), 0.02)  # 5 cm before the lens
    assert render_depth([ahead], SMALL, view, table=None)[24, 32] == 0.0
    assert np.all(render_depth([], SMALL, view, table=DEFAULT_TABLE, far_m=0.5) == 0.0)


def test_a_mesh_around_or_behind_the_camera_does_no_harm(cube: SurfaceMesh) -> None:
    view = from_above(0.6)
    around = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 0.65]), 0.3)
    behind = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 2.0]), 0.3)
    depth = render_depth([around, behind], SMALL, view, table=None)
    assert depth[24, 32] == pytest.approx(0.15, abs=1e-5)


def test_visible_surface_lies_on_the_object_and_faces_outwards(cube: SurfaceMesh) -> None:
    placed = PlacedMesh(cube, RigidTransform.from_translation([0.15, 0.15, 0.1]), 0.1)
    points, normals = visible_surface([placed], SMALL, side_view())
    assert len(points) > 50
    offsets = (points - [0.15, 0.15, 0.1]) / 0.05
    np.testing.assert_allclose(np.abs(offsets).max(axis=1), 1.0, atol=1e-3)
    assert np.all(np.einsum("ij,ij->i", offsets, normals) > 0.99)
    assert {tuple(normal) for normal in normals.round(3).tolist()} <= {(0.0, -1.0, 0.0), (0.0, 0.0, 1.0)}
