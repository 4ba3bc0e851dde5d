"""Cameras on another side of the table find what one on the trained side finds, turned with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_scenes import TALL_BOX, rendered
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import DepthView, Giga, Grasp, GraspDetector
from giga_perception.augmentation import IDENTITY, CubeSymmetry
from giga_perception.camera_side import corners_turned_back, grasps_turned_back, turn_to_trained_side
from giga_perception.detection_mode import MODES
from giga_sim.camera_views import ring_of_views
from giga_sim.side_view_camera import look_at, side_view


def view_from(azimuth_deg: float) -> DepthView:
    """The side view's image, as if the cube had been turned under the camera so that it looks from there."""
    turn = Rotation.from_euler("z", azimuth_deg + 90.0, degrees=True)
    middle_m = np.full(3, 0.15)
    T_seen_workspace = RigidTransform.from_components(middle_m - turn.inv().apply(middle_m), turn.inv())
    view = rendered([TALL_BOX])
    return replace(view, T_camera_workspace=view.T_camera_workspace * T_seen_workspace)


def placed(azimuth_deg: float) -> DepthView:
    pose = look_at((0.15, 0.15, 0.1), 0.6, np.pi / 3.0, np.deg2rad(azimuth_deg))
    return replace(rendered([]), T_camera_workspace=pose)


@pytest.mark.parametrize(
    ("azimuth_deg", "turns"), [(-90, 0), (-130, 0), (-50, 0), (0, 3), (90, 2), (60, 2), (180, 1), (-140, 1)]
)
def test_the_turn_brings_the_camera_to_the_trained_side(azimuth_deg: float, turns: int) -> None:
    assert turn_to_trained_side([placed(azimuth_deg)]) == CubeSymmetry(quarter_turns=turns)


def test_cameras_all_around_or_straight_above_turn_nothing() -> None:
    template = rendered([])
    ring = [replace(template, T_camera_workspace=pose) for pose in ring_of_views(6)]
    above = replace(template, T_camera_workspace=look_at((0.15, 0.15, 0.05), 0.6, 0.05, 1.0))
    assert turn_to_trained_side(ring) == IDENTITY
    assert turn_to_trained_side([above]) == IDENTITY
    assert turn_to_trained_side([replace(template, T_camera_workspace=side_view())]) == IDENTITY
    # Two cameras on one side decide together.
    assert turn_to_trained_side([placed(70.0), placed(120.0)]) == CubeSymmetry(quarter_turns=2)


@pytest.mark.parametrize("azimuth_deg", [0.0, 90.0, 180.0])
def test_the_grasps_are_those_of_the_trained_side_turned(azimuth_deg: float) -> None:
    torch.manual_seed(6)
    model = Giga().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
        # Widths that the hand can hold, whatever it is asked about.
        model.decoder_width.fc_out.weight.zero_()
        model.decoder_width.fc_out.bias.fill_(0.1)
    detector = GraspDetector(model, threshold=0.0, faces_cameras=True)
    expected = detector.detect([view_from(-90.0)])
    found = detector.detect([view_from(azimuth_deg)])
    assert len(expected.grasps) > 3
    assert len(found.grasps) == len(expected.grasps)
    turn = Rotation.from_euler("z", azimuth_deg + 90.0, degrees=True)
    for grasp, other in zip(found.grasps, expected.grasps, strict=True):
        assert grasp.quality == pytest.approx(other.quality, abs=1e-4)
        there_m = turn.apply(other.T_workspace_tcp.translation - 0.15) + 0.15
        np.testing.assert_allclose(grasp.T_workspace_tcp.translation, there_m, atol=1e-3)
        assert (grasp.T_workspace_tcp.rotation.inv() * turn * other.T_workspace_tcp.rotation).magnitude() < 1e-2
    # Off the trained side, a detector that does not face its cameras sees another scene.
    plain = GraspDetector(model, threshold=0.0).detect([view_from(azimuth_deg)])
    assert [grasp.quality for grasp in plain.grasps] != [grasp.quality for grasp in found.grasps]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_corners_and_grasps_come_back_to_one_place(turns: int) -> None:
    turn, resolution = CubeSymmetry(quarter_turns=turns), 8
    corner = np.array([2, 5, 3])
    corner_m = (corner * 0.3 / resolution).astype(np.float32)
    there_m = turn.points_m(corner_m)
    values = np.zeros((resolution,) * 3, dtype=np.float32)
    values[tuple(np.rint(there_m * resolution / 0.3).astype(int))] = 1.0
    np.testing.assert_array_equal(np.argwhere(corners_turned_back(values, turn)), [corner])
    pose = RigidTransform.from_components(there_m, Rotation.identity())
    (back,) = grasps_turned_back([Grasp(pose, 0.04, 0.9)], turn)
    np.testing.assert_allclose(back.T_workspace_tcp.translation, corner_m, atol=1e-6)


def test_the_modes_with_a_second_look_face_their_cameras() -> None:
    assert {name for name, mode in MODES.items() if mode.faces_cameras} == {"fast", "careful"}
