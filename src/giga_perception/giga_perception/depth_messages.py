"""Depth images and their camera infos, as they come from a camera, to depth in metres of a pinhole camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from giga_perception.camera import PinholeCamera
from giga_perception.camera_info_messages import (
    camera_from_message,
    distortion_from_message,
    raw_camera_from_message,
    turns_the_camera,
)
from giga_perception.compressed_depth import depth_from_compressed
from giga_perception.depth_message_error import DepthMessageError
from giga_perception.depth_values import (
    FARTHEST_PLAUSIBLE_M,
    NEAREST_PLAUSIBLE_M,
    implausible_depth_m,
    metres_from_counts,
    readings_only,
)
from giga_perception.rectification import rectified_depth

__all__ = [
    "DepthMessageError",
    "camera_from_message",
    "depth_from_message",
    "depth_view_from_messages",
    "is_rectified_topic",
]

_ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
"""Encoding -> NumPy type: counts of a millimetre, or metres, as REP 118 has it."""

# Rows are padded to some alignment, of which none is larger; a row of twice its bytes holds pixels of another type.
_MOST_PADDING_BYTES = 512

_SAMPLE = slice(None, None, 16)
_TRANSPORT = "compressedDepth"


def depth_view_from_messages(
    image: Image | CompressedImage, camera_info: CameraInfo, rectified: bool
) -> tuple[NDArray[np.float32], PinholeCamera]:
    """Depth [H, W] in metres (0 = no reading), and the pinhole camera that it is the image of.

    The rule of K, D and P: every camera info describes a raw and a rectified image at once, and does not say which one
    it comes with; that lies in the image's topic (`is_rectified_topic`).

    * ``rectified`` (image_rect, image_rect_raw ...): the image's distortion is gone, whatever D says; its camera is P.
      P all zeros and D all zeros: K.
    * not ``rectified`` (image_raw, image ...), D all zeros: nothing to remove; its camera is K.
    * not ``rectified``, D not zero: the distortion is removed here (`rectification`), for the camera P, or K where P is
      all zeros.

    roi and binning are taken into account. Raises `DepthMessageError` when either message cannot be used, when they do
    not fit each other, or when the distortion cannot be removed.
    """
    depth_m = depth_from_message(image)
    if rectified:
        camera = camera_from_message(camera_info)
        if camera_info.roi.do_rectify and distortion_from_message(camera_info) is not None:
            raise DepthMessageError(
                "the camera info is of a part of the sensor (roi.do_rectify), and which part of the rectified image "
                "that is, only its publisher knows: publish the whole image, or give the raw image instead"
            )
        _check_size(depth_m, camera, camera_info)
        return depth_m, camera
    raw, distortion = raw_camera_from_message(camera_info), distortion_from_message(camera_info)
    _check_size(depth_m, raw, camera_info)
    if distortion is None:
        return depth_m, raw
    if turns_the_camera(camera_info):
        raise DepthMessageError(
            "the camera info is of a stereo pair, whose rectification turns the camera (R): give its rectified depth "
            "(its image_rect topic) instead"
        )
    camera = camera_from_message(camera_info) if np.any(camera_info.p) else raw
    return rectified_depth(depth_m, raw, distortion, camera), camera


def is_rectified_topic(topic: str) -> bool:
    """Whether images on this topic are rectified, by ROS's naming: image_rect, image_rect_raw, image_rect_color ...

    A topic of the compressedDepth transport is named after the image's own topic.
    """
    names = [name for name in topic.split("/") if name and name != _TRANSPORT]
    return bool(names) and "rect" in names[-1]


def depth_from_message(image: Image | CompressedImage) -> NDArray[np.float32]:
    """Depth [H, W] in metres; what is not a positive finite number becomes 0 (no reading). No view of the message.

    Raises `DepthMessageError` for an encoding that holds no depth, data that does not fit the stated size, and depths
    that no camera over a table measures.
    """
    if isinstance(image, CompressedImage):
        depth_m, encoding = depth_from_compressed(image.format, np.frombuffer(image.data, dtype=np.uint8))
    else:
        depth_m, encoding = _depth_from_pixels(image), image.encoding
    _check_plausible(depth_m, encoding)
    return depth_m


def _depth_from_pixels(image: Image) -> NDArray[np.float32]:
    if image.encoding not in _ENCODINGS:
        raise DepthMessageError(
            f"the image has the encoding '{image.encoding}', which holds no depth; "
            f"publish one of {', '.join(_ENCODINGS)} (is this the colour image?)"
        )
    dtype = np.dtype((">" if image.is_bigendian else "<") + _ENCODINGS[image.encoding])
    if image.width == 0 or image.height == 0:
        raise DepthMessageError(f"the image is empty: {image.width} x {image.height} pixels")
    stated = f"{image.width} x {image.height} pixels of {image.encoding}"
    row_bytes = image.width * dtype.itemsize
    if image.step < row_bytes:
        raise DepthMessageError(
            f"the image's rows (step) have {image.step} bytes, too few for {stated}, which need {row_bytes}"
        )
    if image.step - row_bytes > max(row_bytes - 1, _MOST_PADDING_BYTES):
        raise DepthMessageError(
            f"the image's rows (step) have {image.step} bytes, far more than {stated} need ({row_bytes}): is its "
            "encoding or its width stated wrong?"
        )
    if len(image.data) != image.step * image.height:
        few_or_many = "few" if len(image.data) < image.step * image.height else "many"
        raise DepthMessageError(
            f"the image holds {len(image.data)} bytes with rows of {image.step}, too {few_or_many} for {stated}"
        )
    # The message's own memory, rows padded as they are; the conversions below make the only copy.
    raw: NDArray[np.generic] = np.ndarray(
        (image.height, image.width), dtype, image.data, strides=(image.step, dtype.itemsize)
    )
    if dtype.kind == "u":
        return metres_from_counts(raw)  # type: ignore[arg-type]
    return readings_only(raw.astype(np.float32, copy=False))


def _check_plausible(depth_m: NDArray[np.float32], encoding: str) -> None:
    typical_m = implausible_depth_m(depth_m[_SAMPLE, _SAMPLE])
    if typical_m is None:
        return
    unit = "metres" if encoding == "32FC1" else "millimetres"
    raise DepthMessageError(
        f"most of the image's readings lie outside {NEAREST_PLAUSIBLE_M:g} to {FARTHEST_PLAUSIBLE_M:g} m (the median "
        f"is {typical_m:.3g} m): {encoding} holds {unit} (REP 118); does the camera's driver publish another unit, or "
        "state the wrong encoding or byte order (is_bigendian)?"
    )


def _check_size(depth_m: NDArray[np.float32], camera: PinholeCamera, info: CameraInfo) -> None:
    if depth_m.shape == (camera.height, camera.width):
        return
    how = "" if (camera.width, camera.height) == (info.width, info.height) else ", its roi and binning applied"
    raise DepthMessageError(
        f"the camera info describes {camera.width} x {camera.height} pixels{how}, but the image has "
        f"{depth_m.shape[1]} x {depth_m.shape[0]}: take both from one camera and one resolution"
    )
