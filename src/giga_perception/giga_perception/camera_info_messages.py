"""sensor_msgs CameraInfo to pinhole cameras and lens distortion.

K belongs to the raw image, P to the rectified one (REP 104). All matrices are those of the whole sensor; the image at
hand may be a window of it (roi), binned. As image_geometry does: the window is cut first, then pixels are combined.
P's fourth column (a second camera's baseline) moves no depth that is measured from the camera itself, and is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo

from giga_perception.camera import PinholeCamera
from giga_perception.depth_message_error import DepthMessageError
from giga_perception.rectification import LensDistortion

_ROTATION_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Window:
    """The piece of the sensor that the image shows, in its whole pixels, and how many of those make one."""

    column: int
    row: int
    binning_x: int
    binning_y: int
    width: int
    height: int

    def camera(self, fx: float, fy: float, cx: float, cy: float) -> PinholeCamera:
        """The camera of this window, from intrinsics of the whole sensor."""
        try:
            return PinholeCamera(
                width=self.width,
                height=self.height,
                fx=float(fx) / self.binning_x,
                fy=float(fy) / self.binning_y,
                cx=(float(cx) - self.column) / self.binning_x,
                cy=(float(cy) - self.row) / self.binning_y,
            )
        except ValueError as error:
            raise DepthMessageError(f"the camera info is of no calibrated camera: {error}") from error


def camera_from_message(info: CameraInfo) -> PinholeCamera:
    """The pinhole camera of the rectified image: from P, or from K where P is all zeros and there is no distortion.

    Raises `DepthMessageError` when the matrices hold no camera, or the image's window of the sensor is impossible.
    """
    window = _window(info)
    if np.any(info.p):
        return window.camera(info.p[0], info.p[5], info.p[2], info.p[6])
    if distortion_from_message(info) is not None:
        raise DepthMessageError(
            "the camera info has distortion but no projection matrix P, so that the rectified image's camera is not "
            "known: calibrate the camera with ROS's camera_calibration, or publish P"
        )
    return raw_camera_from_message(info)


def raw_camera_from_message(info: CameraInfo) -> PinholeCamera:
    """The camera of the raw image, distortion aside: from K. Raises `DepthMessageError` as `camera_from_message`."""
    return _window(info).camera(info.k[0], info.k[4], info.k[2], info.k[5])


def distortion_from_message(info: CameraInfo) -> LensDistortion | None:
    """The raw image's distortion; None when every coefficient is zero.

    Raises `DepthMessageError` for a model that cannot be rectified here.
    """
    if not np.any(info.d):
        return None
    return LensDistortion(str(info.distortion_model), tuple(float(value) for value in info.d))


def turns_the_camera(info: CameraInfo) -> bool:
    """Whether rectifying also turns the camera (R), as it does for stereo pairs. All zeros stand for no turn."""
    return bool(np.any(info.r)) and not np.allclose(info.r, np.eye(3).reshape(-1), atol=_ROTATION_TOLERANCE)


def _window(info: CameraInfo) -> _Window:
    roi, binning_x, binning_y = info.roi, info.binning_x or 1, info.binning_y or 1
    if not (roi.x_offset or roi.y_offset or roi.width or roi.height):
        return _Window(0, 0, binning_x, binning_y, info.width // binning_x, info.height // binning_y)
    if not (0 < roi.width <= info.width - roi.x_offset and 0 < roi.height <= info.height - roi.y_offset):
        raise DepthMessageError(
            f"the camera info's roi, {roi.width} x {roi.height} pixels at column {roi.x_offset}, row {roi.y_offset}, "
            f"lies not within its {info.width} x {info.height} pixels: set all of roi to zero for the whole image"
        )
    return _Window(roi.x_offset, roi.y_offset, binning_x, binning_y, roi.width // binning_x, roi.height // binning_y)
