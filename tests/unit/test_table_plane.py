"""The table plane from rendered depth images: how exact it is, which plane it is, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import CAMERA as RAY_CAMERA
from table_scene import side_view_pose
from table_scene import table_view as ray_cast_table

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.depth_noise import SCALE_SCALE, SCALE_SHAPE, add_depth_noise
from giga_perception.table_plane import TABLE_MIDDLE_M, TablePlaneNotFoundError, find_table_plane, plane_warning
from giga_perception.workspace import TABLE_HEIGHT_M

pytest.importorskip("open3d")

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
TRUE_POSE = side_view_pose()
# Open3D casts its rays through (0.5, 0.5) of pixel (0, 0); half a pixel is a millimetre of table height.
CAMERA = PinholeCamera(
    RAY_CAMERA.width, RAY_CAMERA.height, RAY_CAMERA.fx, RAY_CAMERA.fy, RAY_CAMERA.cx - 0.5, RAY_CAMERA.cy - 0.5
)
HEAP: tuple[Box, ...] = tuple(
    ((0.03 + 0.08 * i, 0.03 + 0.08 * j, 0.05 + 0.5 * height), (0.05, 0.05, height))
    for i in range(4)
    for j in range(4)
    for height in [0.02 + 0.013 * ((3 * i + 5 * j) % 7)]
)


def table_view(boxes: tuple[Box, ...] = ()) -> DepthView:
    return DepthView(ray_cast_table(boxes).depth_m, CAMERA, TRUE_POSE)


def misplaced(offset_m: float, tilt_deg: float, azimuth_deg: float = 40.0) -> RigidTransform:
    """T_true_wrong of a configured workspace whose table lies `offset_m` too high, and is tilted about its middle."""
    azimuth = np.radians(azimuth_deg)
    rotation = Rotation.from_rotvec(np.radians(tilt_deg) * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
    middle = RigidTransform.from_translation(TABLE_MIDDLE_M)
    return middle * RigidTransform.from_components([0.0, 0.0, offset_m], rotation) * middle.inv()


def configured(view: DepthView, T_true_wrong: RigidTransform) -> DepthView:
    return DepthView(view.depth_m, view.camera, TRUE_POSE * T_true_wrong)


def ray_cast(*meshes: trimesh.Trimesh) -> DepthView:
    """The depth image of these meshes, and of no table."""
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    for mesh in meshes:
        scene.add_triangles(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
    camera = RAY_CAMERA
    matrix = o3d.core.Tensor([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], o3d.core.float64)
    rays = scene.create_rays_pinhole(matrix, o3d.core.Tensor(TRUE_POSE.as_matrix()), CAMERA.width, CAMERA.height)
    depth_m = scene.cast_rays(rays)["t_hit"].numpy()
    return DepthView(np.where(np.isfinite(depth_m), depth_m, 0.0).astype(np.float32), CAMERA, TRUE_POSE)


def box(centre: tuple[float, float, float], size: tuple[float, float, float]) -> trimesh.Trimesh:
    made = trimesh.creation.box(size)
    made.apply_translation(centre)
    return made


@pytest.mark.parametrize(
    ("offset_m", "tilt_deg"), [(0.0, 0.0), (0.005, 0.0), (-0.015, 1.0), (0.015, 4.0), (-0.05, 10.0)]
)
@pytest.mark.parametrize("boxes", [(), HEAP], ids=["empty", "heap"])
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_offset_and_tilt_to_a_millimetre_whatever_stands_there(
    offset_m: float, tilt_deg: float, boxes: tuple[Box, ...], seed: int | None
) -> None:
    view = table_view(boxes)
    scale = 1.0
    if seed is not None:
        view = DepthView(add_depth_noise(view.depth_m, np.random.default_rng(seed)), CAMERA, TRUE_POSE)
        # The noise's first draw: a wrong scale of the whole image, so that the table truly seems nearer or farther.
        scale = np.random.default_rng(seed).gamma(SCALE_SHAPE, SCALE_SCALE)
    camera_height_m = float(TRUE_POSE.inv().translation[2]) - TABLE_HEIGHT_M
    wrong = misplaced(offset_m, tilt_deg)
    plane = find_table_plane(configured(view, wrong))
    assert plane.distance_m == pytest.approx(scale * camera_height_m, abs=1e-3)
    assert plane.tilt_deg == pytest.approx(tilt_deg, abs=0.15)
    # Off the configured table, along the plane's normal (the true vertical), at the configured table's middle.
    assert plane.offset_m == pytest.approx(-offset_m - (scale - 1.0) * camera_height_m, abs=1e-3)
    assert 0.3 < plane.image_share <= 1.0
    assert plane.inliers <= plane.readings
    assert plane.residual_m < 0.004


@pytest.mark.parametrize(("offset_m", "tilt_deg"), [(0.005, 0.0), (-0.015, 1.0), (0.015, 4.0)])
def test_the_corrected_pose_puts_the_table_right_and_keeps_what_a_plane_cannot_tell(
    offset_m: float, tilt_deg: float
) -> None:
    view = table_view(HEAP)
    wrong = misplaced(offset_m, tilt_deg)
    plane = find_table_plane(configured(view, wrong))
    again = find_table_plane(DepthView(view.depth_m, CAMERA, plane.corrected_T_camera_workspace))
    assert abs(again.offset_m) < 5e-4
    assert again.tilt_deg < 0.05
    # No more is turned than the tilt, so nothing about the vertical; and the table's middle moved along the normal.
    correction = plane.T_workspace_corrected
    assert np.degrees(correction.rotation.magnitude()) == pytest.approx(plane.tilt_deg, abs=1e-6)
    assert abs(correction.rotation.as_rotvec()[2]) < 1e-9
    moved = correction.apply(TABLE_MIDDLE_M) - TABLE_MIDDLE_M
    np.testing.assert_allclose(moved, plane.offset_m * plane.normal_workspace, atol=1e-9)
    assert plane.height_m == pytest.approx(TABLE_HEIGHT_M - offset_m, abs=1e-3)
    height = plane.height_above_m(view.depth_m, CAMERA)
    assert np.nanmedian(height) == pytest.approx(0.0, abs=1e-3)
    assert np.nanmax(height) == pytest.approx(max(size[2] for _, size in HEAP), abs=2e-3)
    assert np.isnan(height[view.depth_m == 0.0]).all()


def test_the_same_image_gives_the_same_plane() -> None:
    first, second = (find_table_plane(table_view(HEAP), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.normal_camera, second.normal_camera)
    assert first.distance_m == second.distance_m


def test_floor_wall_and_a_large_flat_thing_are_not_the_table() -> None:
    small_table = box((0.15, 0.15, TABLE_HEIGHT_M - 0.01), (0.5, 0.5, 0.02))
    floor = box((0.0, 0.0, -0.71), (8.0, 8.0, 0.02))
    wall = box((0.15, 0.55, 0.0), (8.0, 0.02, 4.0))
    lid = box((0.15, 0.15, TABLE_HEIGHT_M + 0.015), (0.25, 0.2, 0.03))
    plane = find_table_plane(configured(ray_cast(small_table, floor, wall, lid), misplaced(-0.02, 2.0)))
    assert plane.offset_m == pytest.approx(0.02, abs=1e-3)
    assert plane.tilt_deg == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (ray_cast(box((0.15, 2.0, 0.0), (8.0, 0.02, 4.0))), "within 0.6 m"),
        (ray_cast(box((0.15, 0.4, 0.0), (8.0, 0.02, 4.0))), "no plane|too little|stands out"),
        (ray_cast(box((0.15, 0.15, 0.31), (2.0, 2.0, 0.02))), "no plane"),
        (ray_cast(box((0.15, 0.15, TABLE_HEIGHT_M - 0.01), (0.6, 0.02, 0.02))), "narrow|too little"),
        (ray_cast(trimesh.creation.icosphere(subdivisions=4, radius=0.3)), "too little|stands out|no plane|more than"),
        (DepthView(np.zeros((240, 320), np.float32), CAMERA, TRUE_POSE), "only 0"),
        (DepthView(np.full((240, 320), np.nan, np.float32), CAMERA, TRUE_POSE), "only 0"),
        (configured(table_view(), misplaced(0.2, 0.0)), "no plane|more than"),
        (configured(table_view(), misplaced(0.0, 30.0)), "no plane|more than|too little"),
        (configured(table_view(), RigidTransform.from_translation([0.0, 0.0, 0.45])), "stands below"),
    ],
    ids=["far wall", "near wall", "shelf", "strip", "ball", "empty", "nan", "too far off", "too tilted", "below"],
)
def test_without_a_table_there_is_a_sentence_and_no_guess(view: DepthView, reason: str) -> None:
    with pytest.raises(TablePlaneNotFoundError, match=reason):
        find_table_plane(view)


def test_a_table_hidden_by_random_readings_is_refused() -> None:
    view = table_view()
    noise = np.random.default_rng(0).uniform(0.4, 0.9, view.depth_m.shape).astype(np.float32)
    with pytest.raises(TablePlaneNotFoundError):
        find_table_plane(DepthView(noise, CAMERA, TRUE_POSE))


@pytest.mark.parametrize(
    ("offset_m", "tilt_deg", "warns"),
    [(0.0, 0.0, False), (0.008, 2.5, False), (0.012, 0.0, True), (-0.012, 0.0, True), (0.0, 3.5, True)],
)
def test_a_warning_from_one_centimetre_and_three_degrees_on(offset_m: float, tilt_deg: float, warns: bool) -> None:
    warning = plane_warning(find_table_plane(configured(table_view(), misplaced(offset_m, tilt_deg))))
    assert (warning is not None) == warns
    if warning is not None:
        assert "giga calibrate table" in warning
        assert ("below" if offset_m > 0.0 else "above") in warning or offset_m == 0.0
