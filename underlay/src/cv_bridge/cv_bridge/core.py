"""Image messages from and to NumPy arrays."""

from __future__ import annotations

import array
import sys
from typing import Any, NoReturn

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

# Encoding -> (element type, channels).
ENCODINGS: dict[str, tuple[type[np.generic], int]] = {
    "8UC1": (np.uint8, 1),
    "8UC3": (np.uint8, 3),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
}
# What an array is called when the caller does not say: (element type, channels) -> encoding.
PASSTHROUGH = {(np.dtype(dtype), channels): name for name, (dtype, channels) in ENCODINGS.items() if "C" in name}


class CvBridgeError(TypeError):
    """An image that cannot be converted as asked."""


class CvBridge:
    """Converts between `sensor_msgs/Image` and arrays [H, W] or [H, W, 3]."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """The image as an array, in `desired_encoding` ("passthrough": as it came).

        The array shares the message's memory when nothing had to be converted. Raises CvBridgeError.
        """
        dtype, channels = _layout(img_msg.encoding)
        row_elements = channels * img_msg.width
        itemsize = np.dtype(dtype).itemsize
        if img_msg.step < row_elements * itemsize or len(img_msg.data) < img_msg.step * img_msg.height:
            raise CvBridgeError(
                f"the {img_msg.encoding} image of {img_msg.width} x {img_msg.height} has a step of {img_msg.step} and "
                f"{len(img_msg.data)} bytes of data, which is too little"
            )
        rows = np.frombuffer(img_msg.data, dtype=np.uint8, count=img_msg.step * img_msg.height)
        rows = rows.reshape(img_msg.height, img_msg.step)[:, : row_elements * itemsize]
        # A view of a wider type cannot span the gaps that padded rows leave.
        image = (rows if rows.flags.c_contiguous else np.ascontiguousarray(rows)).view(dtype)
        if bool(img_msg.is_bigendian) != (sys.byteorder == "big") and itemsize > 1:
            image = image.byteswap()
        if channels > 1:
            image = image.reshape(img_msg.height, img_msg.width, channels)
        return image if desired_encoding == "passthrough" else _convert(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(
        self,
        cvim: np.ndarray,
        encoding: str = "passthrough",
        header: Header | None = None,
    ) -> Image:
        """The array as a message; `encoding` names what the array holds. Raises CvBridgeError."""
        if not isinstance(cvim, np.ndarray) or cvim.ndim not in (2, 3):
            raise CvBridgeError("cv2_to_imgmsg wants a NumPy array of shape [H, W] or [H, W, channels]")
        held = (cvim.dtype.newbyteorder("="), 1 if cvim.ndim == 2 else cvim.shape[2])
        if encoding == "passthrough":
            if held not in PASSTHROUGH:
                raise CvBridgeError(f"no encoding is known for an array of {held[0]} with {held[1]} channels")
            encoding = PASSTHROUGH[held]
        dtype, channels = _layout(encoding)
        if held != (np.dtype(dtype), channels):
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {held[0]} with {held[1]} channels"
            )
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = int(cvim.dtype.byteorder == ">" or (cvim.dtype.isnative and sys.byteorder == "big"))
        message.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        # An array of bytes is what the message stores; handing it a list or bytes would check every element.
        message.data = array.array("B", np.ascontiguousarray(cvim).tobytes())
        return message

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cv_bridge.CvBridge here is a stand-in and has no `{name}`")


def _layout(encoding: str) -> tuple[type[np.generic], int]:
    if encoding not in ENCODINGS:
        raise CvBridgeError(f"image encoding '{encoding}' is not one of {', '.join(ENCODINGS)}")
    return ENCODINGS[encoding]


def _convert(image: np.ndarray, encoding: str, desired: str) -> np.ndarray:
    """A colour conversion where there is one, the image itself where both names mean the same layout."""
    desired_layout = _layout(desired)
    if encoding == desired:
        return image
    colours: dict[tuple[str, str], Any] = {
        ("rgb8", "bgr8"): "COLOR_RGB2BGR",
        ("bgr8", "rgb8"): "COLOR_BGR2RGB",
        ("rgb8", "mono8"): "COLOR_RGB2GRAY",
        ("bgr8", "mono8"): "COLOR_BGR2GRAY",
        ("mono8", "rgb8"): "COLOR_GRAY2RGB",
        ("mono8", "bgr8"): "COLOR_GRAY2BGR",
    }
    if (encoding, desired) in colours:
        import cv2

        return cv2.cvtColor(image, getattr(cv2, colours[encoding, desired]))
    if _layout(encoding) == desired_layout and not {encoding, desired} <= {
        "rgb8",
        "bgr8",
    }:
        return image
    raise CvBridgeError(f"this stand-in of cv_bridge does not convert [{encoding}] to [{desired}]")
