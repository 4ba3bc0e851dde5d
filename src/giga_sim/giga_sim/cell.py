"""The work cell, read from `config/cell.yaml`: where workspace, table, bin, camera and camera stand are.

All but `T_base_workspace` is given in the workspace frame, which is also the world of the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.config_file import ConfigSection, read_config


@dataclass(frozen=True)
class Box:
    """An upright box, sides along the workspace axes: its centre [3] and full side lengths [3], metres."""

    centre_m: np.ndarray
    size_m: np.ndarray


@dataclass(frozen=True)
class Bin:
    """An open box: the centre of its floor [3], outer side lengths [3], and how thick walls and floor are."""

    centre_m: np.ndarray
    size_m: np.ndarray
    wall_m: float

    def parts(self) -> tuple[Box, ...]:
        """Floor and four walls; side walls along y run the full length, the ends fit between them."""
        length_x, length_y, height = self.size_m
        wall = self.wall_m
        above_floor = np.array([0.0, 0.0, height / 2.0])
        side = np.array([wall, length_y, height])
        end = np.array([length_x - 2.0 * wall, wall, height])
        offset_x = np.array([(length_x - wall) / 2.0, 0.0, 0.0])
        offset_y = np.array([0.0, (length_y - wall) / 2.0, 0.0])
        floor = Box(self.centre_m + np.array([0.0, 0.0, wall / 2.0]), np.array([length_x, length_y, wall]))
        return (
            floor,
            Box(self.centre_m + above_floor - offset_x, side),
            Box(self.centre_m + above_floor + offset_x, side),
            Box(self.centre_m + above_floor - offset_y, end),
            Box(self.centre_m + above_floor + offset_y, end),
        )

    def holds(self, point_m: np.ndarray) -> bool:
        """Whether a point [3] lies between the bin's walls: above its floor and below its rim."""
        offset = np.abs(point_m - self.centre_m - np.array([0.0, 0.0, self.size_m[2] / 2.0]))
        return bool(np.all(offset <= self.size_m / 2.0))


@dataclass(frozen=True)
class CellCamera:
    """The fixed depth camera: intrinsics in pixels, range in metres, and where it looks from (see `side_view`)."""

    width: int
    height: int
    focal_length_px: float
    centre_px: tuple[float, float]
    near_m: float
    far_m: float
    target_m: np.ndarray
    distance_m: float
    theta_rad: float
    phi_rad: float


@dataclass(frozen=True)
class Cell:
    """The cell; `T_base_workspace` maps workspace coordinates into the robot's base frame."""

    T_base_workspace: RigidTransform
    table: Box
    bin: Bin
    camera: CellCamera
    camera_stand: Box


def read_cell(path: Path) -> Cell:
    """The cell in the file at `path`.

    Raises ConfigFileError, with a sentence for the user, when a field is missing or cannot be used.
    """
    top = read_config(path)
    return Cell(
        T_base_workspace=top.transform("T_base_workspace"),
        table=_read_table(top.section("table")),
        bin=_read_bin(top.section("bin")),
        camera=_read_camera(top.section("camera")),
        camera_stand=_read_box(top.section("camera_stand")),
    )


def _read_box(section: ConfigSection) -> Box:
    return Box(np.array(section.vector("centre_m", 3)), np.array(section.vector("size_m", 3, positive=True)))


def _read_table(section: ConfigSection) -> Box:
    """The table top as a box whose upper face is the table plane."""
    thickness = section.number("thickness_m", positive=True)
    centre_xy = section.vector("centre_xy_m", 2)
    size_xy = section.vector("size_xy_m", 2, positive=True)
    return Box(
        np.array([*centre_xy, TABLE_HEIGHT_M - thickness / 2.0]),
        np.array([*size_xy, thickness]),
    )


def _read_bin(section: ConfigSection) -> Bin:
    size_m = np.array(section.vector("size_m", 3, positive=True))
    wall_m = section.number("wall_m", positive=True)
    if 2.0 * wall_m >= size_m[:2].min() or wall_m >= size_m[2]:
        raise section.error("wall_m", f"leaves no room inside a bin of size {size_m.tolist()}")
    return Bin(np.array(section.vector("centre_m", 3)), size_m, wall_m)


def _read_camera(section: ConfigSection) -> CellCamera:
    near_m = section.number("near_m", positive=True)
    far_m = section.number("far_m", positive=True)
    if near_m >= far_m:
        raise section.error("near_m", f"must be below far_m ({far_m})")
    centre_x, centre_y = section.vector("centre_px", 2)
    return CellCamera(
        width=section.count("width"),
        height=section.count("height"),
        focal_length_px=section.number("focal_length_px", positive=True),
        centre_px=(centre_x, centre_y),
        near_m=near_m,
        far_m=far_m,
        target_m=np.array(section.vector("target_m", 3)),
        distance_m=section.number("distance_m", positive=True),
        theta_rad=float(np.deg2rad(section.number("theta_deg"))),
        phi_rad=float(np.deg2rad(section.number("phi_deg"))),
    )
