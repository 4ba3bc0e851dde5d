"""Orientations of a centre's neighbours: the centre stays, the judge chooses among them, a mode asks for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_scenes import LOW_BOX, TALL_BOX, rendered
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import Giga, Grasp, GraspDetector, Vgn
from giga_perception.detection_mode import MODES
from giga_perception.grasp import T_workspace_grasp_origin_from_tcp, T_workspace_tcp_from_grasp_origin
from giga_perception.grasp_judge import PATCH_POINTS_M, PATCH_SHAPE, GraspJudge, SecondLook
from giga_perception.grid_query import GridSceneQuery, lower_corner_coordinates
from giga_perception.neighbour_rotations import neighbours_rotations
from giga_perception.symmetric_average import averaged

DOWN = Rotation.from_euler("x", 180.0, degrees=True)
CENTRE_M = np.array([0.15, 0.15, 0.15])


class TurnedBesideAWall:
    """A wall across y at the cube's middle; left of it (in x) the network has the hand a quarter turn further."""

    def rotation_at(self, points: np.ndarray) -> np.ndarray:
        turn_rad = np.where(points[:, :1] < -0.01, np.pi / 2.0, 0.0)
        quaternions: np.ndarray = (DOWN * Rotation.from_euler("z", turn_rad)).as_quat().astype(np.float32)
        return quaternions

    def occupancy(self, points: np.ndarray) -> np.ndarray:
        return (np.abs(points[:, 0] * 0.3) < 0.01).astype(np.float32)


class FreeFingers(GraspJudge):
    """Likes a hand whose fingers' space is free."""

    def forward(self, patches: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        fingers = np.abs(PATCH_POINTS_M.reshape(*PATCH_SHAPE, 3)[..., 1]) > 0.035
        return 3.0 - 10.0 * patches[:, torch.from_numpy(fingers)].mean(dim=1)


def downwards(centre_m: np.ndarray = CENTRE_M) -> Grasp:
    T_workspace_grasp = RigidTransform.from_components(centre_m, DOWN)
    return Grasp(T_workspace_tcp_from_grasp_origin(T_workspace_grasp), 0.03, 0.6)


def test_the_centre_stays_and_the_hand_turns_as_at_each_neighbour() -> None:
    poses = RigidTransform.concatenate([downwards().T_workspace_tcp, downwards(CENTRE_M + 0.03).T_workspace_tcp])
    around, elsewhere = neighbours_rotations(TurnedBesideAWall(), poses)
    np.testing.assert_allclose(around[0].as_matrix(), poses[0].as_matrix(), atol=1e-12)
    np.testing.assert_allclose(elsewhere[0].as_matrix(), poses[1].as_matrix(), atol=1e-12)
    centres_m = T_workspace_grasp_origin_from_tcp(around).translation
    np.testing.assert_allclose(centres_m, np.tile(CENTRE_M, (7, 1)), atol=1e-9)
    # Itself, then +x, +y, +z, -x, -y, -z: only the neighbour at smaller x is turned.
    turns_rad = (DOWN.inv() * around.rotation).magnitude()
    np.testing.assert_allclose(turns_rad, [0, 0, 0, 0, np.pi / 2.0, 0, 0], atol=1e-6)


def test_the_judge_takes_the_orientation_that_fits() -> None:
    grasp, scene = downwards(), TurnedBesideAWall()
    (kept,) = SecondLook(FreeFingers())(scene, (grasp,))
    (turned,) = SecondLook(FreeFingers(), several_rotations=True)(scene, (grasp,))
    assert (kept.T_workspace_tcp.rotation.inv() * DOWN).magnitude() == pytest.approx(0.0, abs=1e-6)
    assert (turned.T_workspace_tcp.rotation.inv() * DOWN).magnitude() == pytest.approx(np.pi / 2.0, abs=1e-6)
    assert turned.quality > kept.quality + 0.1
    (refined,) = SecondLook(FreeFingers(), refine=True, several_rotations=True)(scene, (grasp,))
    assert refined.quality >= turned.quality
    assert (refined.T_workspace_tcp.rotation.inv() * turned.T_workspace_tcp.rotation).magnitude() < 0.3


def test_the_network_has_the_same_orientation_at_a_grid_point_either_way() -> None:
    torch.manual_seed(3)
    query = GridSceneQuery(Giga(), torch.randn(3, 32, 40, 40), 40)
    voxels = np.array([0, 12_345, 63_999])
    axis = lower_corner_coordinates(40).numpy()
    points = np.stack([axis[index] for index in np.unravel_index(voxels, (40, 40, 40))], axis=1)
    np.testing.assert_allclose(query.rotation_at(points), query.rotation(voxels), atol=1e-5)


def test_an_averaged_network_has_them_too_and_one_on_a_grid_is_refused() -> None:
    tsdf = np.zeros((40, 40, 40), np.float32)
    points, model = np.zeros((2, 3), np.float32), Giga()
    averaged_scene, own_scene = averaged(model, "mirror").scene(tsdf, 40), model.scene(tsdf, 40)
    np.testing.assert_array_equal(averaged_scene.rotation_at(points), own_scene.rotation_at(points))  # type: ignore[attr-defined]
    poses = RigidTransform.concatenate([downwards().T_workspace_tcp])
    with pytest.raises(ValueError, match="answers at any point"):
        neighbours_rotations(Vgn().scene(tsdf, 40), poses)
    with pytest.raises(ValueError, match="on its grid only"):
        neighbours_rotations(averaged(Vgn(), "mirror").scene(tsdf, 40), poses)


def test_the_modes_with_a_second_look_ask_for_them() -> None:
    torch.set_num_threads(1)
    assert {name for name, mode in MODES.items() if mode.several_rotations} == {"fast", "careful"}
    views = [rendered([TALL_BOX, LOW_BOX])]
    one = GraspDetector.from_file(mode=replace(MODES["fast"], several_rotations=False), threshold=0.3).detect(views)
    several = GraspDetector.from_file(mode="fast", threshold=0.3).detect(views)
    assert several.report.best_quality >= one.report.best_quality
    assert len(several.grasps) >= len(one.grasps) > 0


class RemembersQuality(GraspJudge):
    """Remembers the network's qualities that it is told, and likes every grasp alike."""

    def forward(self, patches: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        self.told = [*getattr(self, "told", []), torch.sigmoid(features[:, 0]).unique()]
        return torch.zeros(len(patches))


def test_every_look_is_told_the_networks_quality() -> None:
    judge = RemembersQuality()
    SecondLook(judge, refine=True, several_rotations=True)(TurnedBesideAWall(), (downwards(),))
    assert len(judge.told) == 3
    for told in judge.told:
        np.testing.assert_allclose(told.numpy(), [0.6], atol=1e-5)
