"""Averaging over symmetries: what it must leave alone, and that scene and mirror image then get the same answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from giga_perception.augmentation import AUGMENTATIONS, IDENTITY, CubeSymmetry
from giga_perception.network import Giga
from giga_perception.symmetric_average import SymmetricAverage

RESOLUTION = 12
SYMMETRIES = AUGMENTATIONS["turn"]


@pytest.fixture(scope="module")
def network() -> Giga:
    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = Giga().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def tsdf() -> np.ndarray:
    grid = np.zeros((40, 40, 40), dtype=np.float32)
    grid[5:20, 8:31, 6:14] = np.random.default_rng(4).random((15, 23, 8), dtype=np.float32)
    return grid


def inner_voxels() -> np.ndarray:
    """All that lie on no side of the cube, in a fixed random order."""
    index = np.indices((RESOLUTION,) * 3).reshape(3, -1)
    inner = np.all(index[:2] > 0, axis=0)
    return np.random.default_rng(5).permutation(np.flatnonzero(inner))[:300]


def test_one_symmetry_changes_nothing(network: Giga, tsdf: np.ndarray) -> None:
    plain = network.scene(tsdf, RESOLUTION)
    averaged = SymmetricAverage(network, [IDENTITY]).scene(tsdf, RESOLUTION)
    voxels = np.arange(RESOLUTION**3)
    np.testing.assert_allclose(averaged.quality(voxels), plain.quality(voxels), atol=1e-6)
    np.testing.assert_allclose(averaged.width(voxels), plain.width(voxels), atol=1e-6)
    np.testing.assert_allclose(averaged.rotation(voxels), plain.rotation(voxels), atol=1e-5)


@pytest.mark.parametrize("symmetry", SYMMETRIES[1:], ids=str)
def test_a_scene_and_its_image_get_the_same_answers(network: Giga, tsdf: np.ndarray, symmetry: CubeSymmetry) -> None:
    averaged = SymmetricAverage(network, SYMMETRIES)
    voxels = inner_voxels()
    x, y, z = np.unravel_index(voxels, (RESOLUTION,) * 3)
    points_m = np.stack([x, y, z], axis=-1) * np.float32(0.3 / RESOLUTION)
    there = np.rint(symmetry.points_m(points_m.astype(np.float32)) * (RESOLUTION / 0.3)).astype(int)
    images = np.ravel_multi_index(tuple(there.T), (RESOLUTION,) * 3)
    here, image = averaged.scene(tsdf, RESOLUTION), averaged.scene(symmetry.grid(tsdf), RESOLUTION)
    np.testing.assert_allclose(image.quality(images), here.quality(voxels), atol=1e-5)
    np.testing.assert_allclose(image.width(images), here.width(voxels), atol=1e-5)
    single = network.scene(tsdf, RESOLUTION).quality(voxels)
    assert np.abs(single - here.quality(voxels)).max() > 1e-3, "a network without preferences shows nothing"


def test_the_mean_is_over_all_images(network: Giga, tsdf: np.ndarray) -> None:
    mirror = CubeSymmetry(mirrored=True)
    averaged = SymmetricAverage(network, [IDENTITY, mirror]).scene(tsdf, RESOLUTION)
    voxel, image = (
        np.ravel_multi_index(([3], [5], [4]), (RESOLUTION,) * 3),
        np.ravel_multi_index(([RESOLUTION - 3], [5], [4]), (RESOLUTION,) * 3),
    )
    plain, mirrored = network.scene(tsdf, RESOLUTION), network.scene(mirror.grid(tsdf), RESOLUTION)
    assert averaged.quality(voxel) == pytest.approx((plain.quality(voxel) + mirrored.quality(image)) / 2, abs=1e-6)


def test_a_point_without_an_image_keeps_the_scenes_own_answer(network: Giga, tsdf: np.ndarray) -> None:
    averaged = SymmetricAverage(network, [IDENTITY, CubeSymmetry(mirrored=True)]).scene(tsdf, RESOLUTION)
    corner = np.ravel_multi_index(([0], [5], [4]), (RESOLUTION,) * 3)
    plain = network.scene(tsdf, RESOLUTION)
    assert averaged.quality(corner) == pytest.approx(plain.quality(corner), abs=1e-6)


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
def test_orientations_come_back(symmetry: CubeSymmetry) -> None:
    rotations = Rotation.random(20, random_state=6)
    moved = symmetry.rotations_xyzw(rotations.as_quat().astype(np.float32))
    back = Rotation.from_quat(symmetry.inverse_rotations_xyzw(moved))
    assert np.max((rotations.inv() * back).magnitude()) < 1e-5


class TurnedHead:
    """A network whose every orientation is the same, as a symmetric one would see it, plus a disturbance."""

    kind, has_grasps, has_geometry = "giga", True, False

    def __init__(self, answers: list[Rotation]) -> None:
        self.answers = iter(answers)

    def scene(self, tsdf: np.ndarray, resolution: int) -> TurnedHead:
        self.answer = next(self.answers)
        copy = TurnedHead([])
        copy.answer = self.answer
        return copy

    def rotation(self, voxels: np.ndarray) -> np.ndarray:
        return np.repeat(self.answer.as_quat()[None], len(voxels), axis=0)


def test_orientations_of_the_same_grasp_are_averaged_and_others_left_out(tsdf: np.ndarray) -> None:
    mirror = CubeSymmetry(mirrored=True)
    grasp = Rotation.from_euler("xyz", [170.0, 10.0, 20.0], degrees=True)
    near = grasp * Rotation.from_euler("x", 10.0, degrees=True) * Rotation.from_euler("z", 180.0, degrees=True)
    other = grasp * Rotation.from_euler("z", 80.0, degrees=True)
    for image, expected in ((near, grasp * Rotation.from_euler("x", 5.0, degrees=True)), (other, grasp)):
        seen = Rotation.from_quat(mirror.rotations_xyzw(image.as_quat()[None].astype(np.float32))[0])
        averaged = SymmetricAverage(TurnedHead([grasp, seen]), [IDENTITY, mirror]).scene(tsdf, RESOLUTION)
        voxel = np.ravel_multi_index(([3], [5], [4]), (RESOLUTION,) * 3)
        mean = Rotation.from_quat(averaged.rotation(voxel)[0])
        assert np.rad2deg((expected.inv() * mean).magnitude()) < 0.1
