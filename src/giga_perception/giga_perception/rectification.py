"""A depth image with lens distortion, turned into the image of a pinhole camera.

Every pixel of the result takes the nearest pixel of the raw image: depths on both sides of an edge are never mixed into
one that nothing has. Depth is measured along the optical axis, which rectifying does not turn: values stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from giga_perception.camera import PinholeCamera
from giga_perception.depth_message_error import DepthMessageError

_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
"""Distortion model, as REP 104 and sensor_msgs name it -> how many coefficients it may have."""

_CAMERAS_REMEMBERED = 16
_OUTSIDE = -1.0


@dataclass(frozen=True)
class LensDistortion:
    """A distortion model of sensor_msgs/CameraInfo with its coefficients, in OpenCV's order.

    Raises `DepthMessageError` for a model that cannot be rectified here, or coefficients that it does not have.
    """

    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in _COEFFICIENTS:
            raise DepthMessageError(
                f"the distortion model '{self.model}' is none of {', '.join(_COEFFICIENTS)}: give the camera's "
                "rectified depth (its image_rect topic) instead"
            )
        if len(self.coefficients) not in _COEFFICIENTS[self.model]:
            raise DepthMessageError(
                f"the distortion model '{self.model}' has {len(self.coefficients)} coefficients, expected "
                f"{' or '.join(map(str, _COEFFICIENTS[self.model]))}: calibrate the camera anew, or give its rectified "
                "depth (its image_rect topic) instead"
            )
        if not np.isfinite(self.coefficients).all():
            raise DepthMessageError("the distortion coefficients are not all finite: calibrate the camera anew")


def rectified_depth(
    depth_m: NDArray[np.float32], raw: PinholeCamera, distortion: LensDistortion, rectified: PinholeCamera
) -> NDArray[np.float32]:
    """The depth image [H, W] that the pinhole camera ``rectified`` has at the raw camera's place.

    ``depth_m`` fits ``raw``; 0 where the raw image does not reach. Raises `DepthMessageError` when it reaches nowhere.
    """
    import cv2

    sources, no_fractions = _sources(raw, distortion, rectified), np.empty(0, dtype=np.uint16)
    image = cv2.remap(depth_m, sources, no_fractions, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(image, dtype=np.float32)


@lru_cache(maxsize=_CAMERAS_REMEMBERED)
def _sources(raw: PinholeCamera, distortion: LensDistortion, rectified: PinholeCamera) -> NDArray[np.int16]:
    """The raw pixel [H, W, (column, row)] that each rectified pixel shows; outside the image where there is none."""
    import cv2

    K, new_K, coefficients = _matrix(raw), _matrix(rectified), np.array(distortion.coefficients)
    size = (rectified.width, rectified.height)
    of_model = cv2.fisheye.initUndistortRectifyMap if distortion.model == "equidistant" else cv2.initUndistortRectifyMap
    maps = of_model(K, coefficients, np.eye(3), new_K, size, cv2.CV_32FC1)
    columns, rows = (np.asarray(map_, dtype=np.float32) for map_ in maps)
    lost = _beyond_the_fold(columns, rows, rectified)
    columns[lost] = rows[lost] = _OUTSIDE
    reached = (columns > -0.5) & (columns < raw.width - 0.5) & (rows > -0.5) & (rows < raw.height - 0.5)
    if not reached.any():
        raise DepthMessageError("with this distortion nothing of the image remains: calibrate the camera anew")
    sources, _ = cv2.convertMaps(columns, rows, cv2.CV_16SC2, nninterpolation=True)
    sources.flags.writeable = False
    return np.asarray(sources)


def _beyond_the_fold(
    columns: NDArray[np.float32], rows: NDArray[np.float32], camera: PinholeCamera
) -> NDArray[np.bool_]:
    """Where the polynomial has turned back, so that pixels there would show a mirrored piece of the image.

    A calibration is good only within the image that it was made from; outside, the distorted radius may fall again.
    There the map's orientation changes sign. All rays at least that far from the axis are lost.
    """
    column_down, column_right = np.gradient(columns.astype(np.float64))
    row_down, row_right = np.gradient(rows.astype(np.float64))
    turned = ~(column_right * row_down - column_down * row_right > 0.0)
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    radius = np.hypot(x[None, :], y[:, None])
    return radius >= np.min(radius[turned], initial=np.inf)


def _matrix(camera: PinholeCamera) -> NDArray[np.float64]:
    return np.array([[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]])
