"""What a depth camera delivers, and where it stood: the input of everything in this package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform


@dataclass(frozen=True)
class PinholeCamera:
    """An undistorted pinhole camera; all values in pixels.

    A point (x, y, z) in the camera's optical frame falls on column fx * x / z + cx, row fy * y / z + cy.
    Raises ValueError for a size or focal length that is not positive.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"camera size must be positive, got {self.width} x {self.height}")
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx > 0 and self.fy > 0):
            raise ValueError(
                f"focal lengths must be positive and the centre finite, got fx={self.fx}, fy={self.fy}, "
                f"cx={self.cx}, cy={self.cy}; an uncalibrated camera reports zeros"
            )


def pixel_rays(camera: PinholeCamera, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Directions [..., 3], of length 1 along z in the optical frame, of the rays through these rows and columns.

    rows and columns broadcast: [N] and [N] for N pixels, [R, 1] and [C] for a grid of them.
    """
    y, x = np.broadcast_arrays((rows - camera.cy) / camera.fy, (columns - camera.cx) / camera.fx)
    return np.stack([x, y, np.ones(x.shape)], axis=-1)


@dataclass(frozen=True, eq=False)
class DepthView:
    """One depth image with its camera and pose.

    depth_m: float32 [H, W], distance along the optical axis in metres; 0 (or anything not finite) = no reading.
    camera: intrinsics for exactly this image size.
    T_camera_workspace: maps workspace coordinates to the camera's optical frame (z forward, x right, y down).
    Raises ValueError when the image is not H x W floats or does not fit the camera.
    """

    depth_m: NDArray[np.float32]
    camera: PinholeCamera
    T_camera_workspace: RigidTransform

    def __post_init__(self) -> None:
        if self.depth_m.dtype != np.float32:
            raise ValueError(f"depth_m must be float32 metres, got {self.depth_m.dtype}")
        if self.depth_m.shape != (self.camera.height, self.camera.width):
            raise ValueError(
                f"depth image of {self.depth_m.shape} (rows, columns) does not fit a camera of "
                f"{self.camera.height} x {self.camera.width}"
            )
