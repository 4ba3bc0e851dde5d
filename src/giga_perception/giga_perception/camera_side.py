"""Cameras on any side of the table: the scene is turned by quarter turns until they stand where training had them.

Training looks at the workspace from one side (azimuth -90 degrees, the paper's side view), and a network that never saw
a scene from another side finds little in it. The workspace has no preferred side, so a cube turned about its vertical
axis is as good a workspace as the cube itself: detection happens in the turned one, and its grasps are turned back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.augmentation import IDENTITY, CubeSymmetry
from giga_perception.camera import DepthView
from giga_perception.grasp import Grasp
from giga_perception.tsdf import TsdfGrid
from giga_perception.workspace import WORKSPACE_SIZE_M

TRAINED_AZIMUTH_RAD = -np.pi / 2.0

# Below this the cameras stand around the table, or above it: no side is theirs. 1: all at one azimuth, level.
_DECIDED = 0.2

_MIDDLE_M = np.full(3, WORKSPACE_SIZE_M / 2.0)


def turn_to_trained_side(views: Sequence[DepthView]) -> CubeSymmetry:
    """The quarter turn of the scene that brings these cameras nearest to the side that training looked from.

    The identity for cameras that stand around the table or straight above it.
    """
    outward = np.array([view.T_camera_workspace.inv().translation - _MIDDLE_M for view in views])
    mean = np.mean(outward / np.linalg.norm(outward, axis=1, keepdims=True), axis=0)
    if np.hypot(mean[0], mean[1]) < _DECIDED:
        return IDENTITY
    azimuth_rad = np.arctan2(mean[1], mean[0])
    turns = round(float((TRAINED_AZIMUTH_RAD - azimuth_rad) / (np.pi / 2.0))) % 4
    return CubeSymmetry(quarter_turns=turns)


def turned(tsdf: TsdfGrid, turn: CubeSymmetry) -> TsdfGrid:
    """The grid of the turned scene."""
    return TsdfGrid(turn.grid(tsdf.value), turn.grid(tsdf.weight))


def grasps_turned_back(grasps: Sequence[Grasp], turn: CubeSymmetry) -> tuple[Grasp, ...]:
    """Grasps of the turned scene where they are in the scene itself."""
    back = Rotation.from_euler("z", -90.0 * turn.quarter_turns, degrees=True)
    T_workspace_turned = RigidTransform.from_components(_MIDDLE_M - back.apply(_MIDDLE_M), back)
    return tuple(replace(grasp, T_workspace_tcp=T_workspace_turned * grasp.T_workspace_tcp) for grasp in grasps)


def corners_turned_back(values: NDArray[np.float32], turn: CubeSymmetry) -> NDArray[np.float32]:
    """Values [R, R, R] at the lower corners of the turned scene's voxels, at those of the scene itself.

    A corner i of an axis that is turned round is the corner R - i; where that is none of the R lower corners, 0.
    """
    back = np.rot90(values, k=-turn.quarter_turns, axes=(0, 1)).copy()
    reversed_axes = {0: (), 1: (1,), 2: (0, 1), 3: (0,)}[turn.quarter_turns % 4]
    for axis in reversed_axes:
        back = np.roll(back, 1, axis=axis)
        back[(slice(None),) * axis + (0,)] = 0.0
    return back
