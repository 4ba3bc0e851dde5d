"""The symmetries move grids, points and grasps alike, exactly, and a mirrored grasp is a grasp."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation
from synthetic_scenes import box_scene

from giga_perception.augmentation import AUGMENTATIONS, IDENTITY, CubeSymmetry
from giga_perception.camera import DepthView
from giga_perception.tsdf import fuse
from giga_perception.workspace import WORKSPACE_SIZE_M

ALL = AUGMENTATIONS["turn"]
CENTRE_M = np.array([WORKSPACE_SIZE_M / 2] * 3)


def matrix(symmetry: CubeSymmetry) -> np.ndarray:
    """The symmetry about the cube's centre as a 3x3 matrix, by its definition."""
    turn = Rotation.from_euler("z", 90 * symmetry.quarter_turns, degrees=True).as_matrix()
    return turn @ np.diag([-1.0 if symmetry.mirrored else 1.0, 1.0, 1.0])


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_points_follow_the_definition(symmetry: CubeSymmetry) -> None:
    points = np.random.default_rng(0).uniform(0, WORKSPACE_SIZE_M, (50, 3)).astype(np.float32)
    expected = (points - CENTRE_M) @ matrix(symmetry).T + CENTRE_M
    np.testing.assert_allclose(symmetry.points_m(points), expected, atol=1e-6)


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_a_grid_moves_as_its_voxel_centres_do(symmetry: CubeSymmetry) -> None:
    resolution = 40
    voxel_m = WORKSPACE_SIZE_M / resolution
    grid = np.random.default_rng(1).random((resolution,) * 3).astype(np.float32)
    index = np.stack(np.meshgrid(*[np.arange(resolution)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    moved = np.floor(symmetry.points_m(((index + 0.5) * voxel_m).astype(np.float32)) / voxel_m).astype(int)
    np.testing.assert_array_equal(symmetry.grid(grid)[tuple(moved.T)], grid[tuple(index.T)])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_scene_then_fusing_equals_fusing_then_turning(turns: int) -> None:
    scene = box_scene(5)
    symmetry = CubeSymmetry(quarter_turns=turns)
    turn = Rotation.from_euler("z", 90 * turns, degrees=True)
    # Turning the scene under a fixed camera is the same as moving the camera the other way around it.
    T_turned_workspace = RigidTransform.from_components(CENTRE_M - turn.apply(CENTRE_M), turn)
    turned_view = DepthView(scene.depth_m, scene.camera, scene.T_camera_workspace * T_turned_workspace.inv())
    plain_view = DepthView(scene.depth_m, scene.camera, scene.T_camera_workspace)
    fused_turned = fuse([turned_view]).value
    turned_fused = symmetry.grid(fuse([plain_view]).value)
    # A voxel on the border of two pixels may take the other one, which rounding decides.
    assert np.mean(np.abs(fused_turned - turned_fused) > 1e-4) < 1e-3
    assert np.mean(np.abs(fused_turned - fuse([plain_view]).value) > 1e-4) > 0.05


def test_mirroring_the_image_then_fusing_equals_fusing_then_mirroring() -> None:
    scene = box_scene(6)
    # The camera looks along the mirror's plane. Pixel centres lie at integers, so column c becomes width - c.
    mirrored_m = np.zeros_like(scene.depth_m)
    mirrored_m[:, 1:] = scene.depth_m[:, :0:-1]
    fused = fuse([DepthView(mirrored_m, scene.camera, scene.T_camera_workspace)]).value
    plain = fuse([DepthView(scene.depth_m, scene.camera, scene.T_camera_workspace)]).value
    mirrored = CubeSymmetry(mirrored=True).grid(plain)
    assert np.mean(np.abs(fused - mirrored) > 1e-4) < 1e-3
    assert np.mean(np.abs(fused - plain) > 1e-4) > 0.02


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_grasps_move_with_the_scene(symmetry: CubeSymmetry) -> None:
    before = Rotation.random(20, random_state=2)
    after = symmetry.rotations_xyzw(before.as_quat().astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1.0, atol=1e-6)
    after_matrices = Rotation.from_quat(after).as_matrix()
    moved_axes = matrix(symmetry) @ before.as_matrix()
    # The approach and the line of closing are where the scene's symmetry puts them; which finger is which may swap.
    np.testing.assert_allclose(after_matrices[:, :, 2], moved_axes[:, :, 2], atol=1e-5)
    along = np.abs(np.sum(after_matrices[:, :, 1] * moved_axes[:, :, 1], axis=1))
    np.testing.assert_allclose(along, 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(after_matrices), 1.0, atol=1e-5)


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_finger_tips_of_a_moved_grasp_are_the_moved_finger_tips(symmetry: CubeSymmetry) -> None:
    rotation = Rotation.from_euler("xyz", [170, 20, 50], degrees=True)
    centre = np.array([[0.12, 0.2, 0.13]])
    tips = np.array([[0.0, 0.03, 0.05], [0.0, -0.03, 0.05]])
    moved_tips = symmetry.points_m((rotation.apply(tips) + centre).astype(np.float32))
    moved_rotation = Rotation.from_quat(symmetry.rotations_xyzw(rotation.as_quat()[None].astype(np.float32)))
    tips_of_moved = np.stack([(moved_rotation.apply(tip) + symmetry.points_m(centre))[0] for tip in tips])
    same = np.allclose(tips_of_moved, moved_tips, atol=1e-5)
    swapped = np.allclose(tips_of_moved[::-1], moved_tips, atol=1e-5)
    assert same or swapped


def test_no_augmentation_changes_nothing() -> None:
    assert AUGMENTATIONS["none"] == (IDENTITY,)
    assert len(set(ALL)) == 8
    grid = np.random.default_rng(3).random((4, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(IDENTITY.grid(grid), grid)
