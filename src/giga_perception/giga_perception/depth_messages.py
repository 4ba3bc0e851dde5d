"""sensor_msgs Image and CameraInfo to depth in metres and a pinhole camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image

from giga_perception.camera import PinholeCamera

_ENCODINGS: dict[str, tuple[str, float]] = {
    "16UC1": ("u2", 0.001),
    "mono16": ("u2", 0.001),
    "32FC1": ("f4", 1.0),
}
"""Encoding -> NumPy type and metres a count, as REP 118 has it."""


class DepthMessageError(ValueError):
    """An image or camera info that cannot be used; the message says what is wrong with it."""


def depth_from_message(image: Image) -> NDArray[np.float32]:
    """Depth [H, W] in metres; what is not a positive finite number becomes 0 (no measurement).

    Raises `DepthMessageError` for an encoding that holds no depth, or data that does not fit the stated size.
    """
    if image.encoding not in _ENCODINGS:
        raise DepthMessageError(
            f"the image has the encoding '{image.encoding}', which holds no depth; "
            f"publish one of {', '.join(_ENCODINGS)} (is this the colour image?)"
        )
    kind, count_m = _ENCODINGS[image.encoding]
    dtype = np.dtype((">" if image.is_bigendian else "<") + kind)
    row_bytes = image.width * dtype.itemsize
    if image.width == 0 or image.height == 0:
        raise DepthMessageError(f"the image is empty: {image.width} x {image.height} pixels")
    if image.step < row_bytes or len(image.data) < image.step * image.height:
        raise DepthMessageError(
            f"the image holds {len(image.data)} bytes with rows of {image.step}, too few for "
            f"{image.width} x {image.height} pixels of {image.encoding}"
        )
    rows = np.frombuffer(image.data, dtype=np.uint8, count=image.step * image.height).reshape(image.height, image.step)
    raw = np.ascontiguousarray(rows[:, :row_bytes]).view(dtype)
    depth_m = raw.astype(np.float32) * np.float32(count_m)
    depth_m[~np.isfinite(depth_m) | (depth_m < 0.0)] = 0.0
    return depth_m


def camera_from_message(info: CameraInfo) -> PinholeCamera:
    """The pinhole camera of a rectified image: from P, or from K where P is empty.

    Raises `DepthMessageError` when neither holds focal lengths.
    """
    if info.p[0] > 0.0 and info.p[5] > 0.0:
        fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    else:
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    try:
        return PinholeCamera(
            width=info.width, height=info.height, fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy)
        )
    except ValueError as error:
        raise DepthMessageError(f"the camera info is of no calibrated camera: {error}") from error
