"""A predicted shape as convex bodies, and grasps tried on it: the one that holds there comes first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_scenes import TALL_BOX, rendered
from scipy.spatial import ConvexHull
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import Grasp, GraspDetector
from giga_perception.detection_mode import MODES, DetectionMode
from giga_perception.occupancy_lattice import occupancy_lattice
from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.convex_pieces import convex_pieces
from giga_sim.imagined_trials import ImaginedTrials

DOWN = Rotation.from_euler("x", 180.0, degrees=True)
CELL_M = 0.0075


class Solid:
    """A scene that says what its `inside` (metres [N, 3] -> distance to the surface, positive inside) says."""

    def occupancy(self, points: np.ndarray) -> np.ndarray:
        return (400.0 * self.depth_m((points + 0.5) * 0.3)).astype(np.float32)

    def depth_m(self, points_m: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class TwoBoxes(Solid):
    """A box of 40 x 30 x 60 mm in the middle of the table, and one of 40 x 40 x 40 mm in a corner."""

    def depth_m(self, points_m: np.ndarray) -> np.ndarray:
        depths = []
        for middle_m, size_m in (([0.15, 0.15, 0.08], [0.04, 0.03, 0.06]), ([0.23, 0.23, 0.07], [0.04, 0.04, 0.04])):
            depths.append(np.min(np.array(size_m) / 2.0 - np.abs(points_m - middle_m), axis=-1))
        deepest: np.ndarray = np.max(depths, axis=0)
        return deepest


class Bowl(Solid):
    """A thick-walled half sphere, open above, 80 mm wide."""

    def depth_m(self, points_m: np.ndarray) -> np.ndarray:
        centre_m = np.array([0.15, 0.15, 0.10])
        distance_m = np.linalg.norm(points_m - centre_m, axis=-1)
        depth: np.ndarray = np.minimum(0.009 - np.abs(distance_m - 0.04), 0.10 - points_m[..., 2])
        return depth


def hull_volume_m3(parts: tuple[np.ndarray, ...]) -> float:
    return sum(float(ConvexHull(part).volume) for part in parts)


def test_boxes_stay_whole_and_apart() -> None:
    pieces = convex_pieces(occupancy_lattice(TwoBoxes().occupancy, 40))
    assert [len(piece.parts) for piece in pieces] == [1, 1]
    middle, corner = sorted(pieces, key=lambda piece: float(piece.parts[0][0, 0]))
    np.testing.assert_allclose(middle.parts[0].min(axis=0), [0.13, 0.135, 0.05], atol=0.3 * CELL_M)
    np.testing.assert_allclose(middle.parts[0].max(axis=0), [0.17, 0.165, 0.11], atol=0.3 * CELL_M)
    assert hull_volume_m3(corner.parts) == pytest.approx(0.04**3, rel=0.15)


def test_a_bowl_is_cut_until_it_is_hollow_again() -> None:
    lattice = occupancy_lattice(Bowl().occupancy, 40)
    (piece,) = convex_pieces(lattice)
    assert 4 <= len(piece.parts) <= 25
    shell_m3 = 2.0 / 3.0 * np.pi * (0.049**3 - 0.031**3)
    assert hull_volume_m3(piece.parts) == pytest.approx(shell_m3, rel=0.2)
    # The middle of its hollow is free.
    hollow = np.array([0.15, 0.15, 0.088])
    for part in piece.parts:
        equations = ConvexHull(part).equations
        assert np.any(equations[:, :3] @ hollow + equations[:, 3] > 0.0)


def test_specks_are_no_pieces() -> None:
    lattice = np.full((41, 41, 41), -5.0, np.float32)
    lattice[20, 20, 20] = 5.0
    assert convex_pieces(lattice) == []


def grasp_at(y_m: float, height_m: float, quality: float) -> Grasp:
    position_m = [0.15, y_m, TABLE_HEIGHT_M + height_m]
    return Grasp(RigidTransform.from_components(position_m, DOWN), 0.03, quality)


def test_the_first_grasp_that_holds_comes_first_and_the_others_keep_their_order() -> None:
    in_the_air, into_the_box = grasp_at(0.07, 0.05, 0.9), grasp_at(0.185, 0.04, 0.8)
    holds, holds_too = grasp_at(0.15, 0.045, 0.6), grasp_at(0.151, 0.05, 0.5)
    given = (in_the_air, into_the_box, holds, holds_too)
    imagined = ImaginedTrials(4)
    assert imagined(TwoBoxes(), given) == (holds, in_the_air, into_the_box, holds_too)
    # The world is built anew each time: the same answer again, though the box was lifted.
    assert imagined(TwoBoxes(), given) == (holds, in_the_air, into_the_box, holds_too)
    assert ImaginedTrials(2)(TwoBoxes(), given) == given
    assert imagined(TwoBoxes(), ()) == ()


def test_what_cannot_be_imagined_is_refused() -> None:
    with pytest.raises(ValueError, match="predicts geometry"):
        ImaginedTrials(3)(object(), (grasp_at(0.15, 0.05, 0.9),))
    with pytest.raises(ValueError, match="at least 1"):
        ImaginedTrials(0)


def test_the_detector_asks_once_and_has_the_order_it_is_told() -> None:
    torch.set_num_threads(1)
    asked: list[int] = []

    def reversing(tries: int):  # type: ignore[no-untyped-def]
        def reverse(scene: object, grasps: tuple[Grasp, ...]) -> tuple[Grasp, ...]:
            asked.append(tries)
            return grasps[::-1]

        return reverse

    view = rendered([TALL_BOX])
    mode = DetectionMode(imagined_tries=5)
    as_ever = GraspDetector.from_file(mode="plain", threshold=0.3, imagine=reversing).detect([view]).grasps
    assert asked == []
    turned = GraspDetector.from_file(mode=mode, threshold=0.3, imagine=reversing).detect([view]).grasps
    assert asked == [5]
    assert len(turned) > 1
    assert [one.quality for one in turned] == [one.quality for one in as_ever[::-1]]
    with pytest.raises(ValueError, match="needs a simulator"):
        GraspDetector.from_file(mode=mode)
    assert all(mode.imagined_tries == 0 for mode in MODES.values())
