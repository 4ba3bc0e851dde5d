"""Depth images of the compressedDepth transport: a 12-byte header, then 16-bit counts as PNG or RVL.

The header is an int32 (the kind of quantisation; only one is in use) and two float32, A and B. The counts of a 16UC1
image are its millimetres. Those of a 32FC1 image are inverse depths, count = A / depth + B, with 0 for no reading.
"""

from __future__ import annotations

import re
import struct

import numpy as np
from numpy.typing import NDArray

from giga_perception.depth_message_error import DepthMessageError
from giga_perception.depth_values import metres_from_counts, readings_only
from giga_perception.png_stream import is_cut_short, is_png
from giga_perception.run_length_depth import counts_from_rvl

_HEADER = struct.Struct("<iff")
# Before RVL came, the format named no codec; before that, only the encoding.
_FORMAT = re.compile(r"(?P<encoding>16UC1|mono16|32FC1)\s*(;\s*compressedDepth\s*(?P<codec>png|rvl)?)?\s*")


def depth_from_compressed(image_format: str, data: NDArray[np.uint8]) -> tuple[NDArray[np.float32], str]:
    """Depth [H, W] in metres (0 = no reading) of a CompressedImage's fields, and its encoding before compression.

    ``image_format`` reads "16UC1; compressedDepth png" and the like; ``data`` [N] holds the header too. Raises
    `DepthMessageError` for another transport's format, and for data that cannot be decoded.
    """
    described = _FORMAT.fullmatch(image_format.strip())
    if described is None:
        raise DepthMessageError(
            f"the compressed image has the format '{image_format}', which is none of the compressedDepth transport "
            "(such as '16UC1; compressedDepth png'): subscribe to the camera's .../compressedDepth topic"
        )
    if data.size <= _HEADER.size:
        raise DepthMessageError(
            f"the compressed image holds {data.size} bytes, not even the {_HEADER.size} of its header and an image: "
            "is the publisher's connection cutting messages?"
        )
    _, scale, offset = _HEADER.unpack_from(data.data)
    stream = data[_HEADER.size :]
    counts = counts_from_rvl(stream) if described["codec"] == "rvl" else _counts_from_png(stream)
    encoding = described["encoding"]
    return (_from_inverse(counts, scale, offset) if encoding == "32FC1" else metres_from_counts(counts)), encoding


def _counts_from_png(stream: NDArray[np.uint8]) -> NDArray[np.uint16]:
    import cv2

    if not is_png(stream):
        raise DepthMessageError(
            f"the compressed image has no PNG after its {_HEADER.size}-byte header: is the topic one of the "
            "compressedDepth transport, and its format the one stated?"
        )
    try:
        image = None if is_cut_short(stream) else cv2.imdecode(stream, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DepthMessageError(f"the compressed image's PNG cannot be decoded ({error.err})") from error
    if image is None:
        raise DepthMessageError("the compressed image's PNG is damaged or cut short: is the connection losing data?")
    if image.dtype != np.uint16 or image.ndim != 2:
        raise DepthMessageError(
            f"the compressed image's PNG holds {image.dtype} of shape {image.shape}, not one channel of 16 bits: "
            "is this the colour image?"
        )
    return np.asarray(image)


def _from_inverse(counts: NDArray[np.uint16], scale: float, offset: float) -> NDArray[np.float32]:
    """Depth in metres, ``scale / (count - offset)``; 0 where the count is 0 or stands for no finite distance."""
    if not (np.isfinite([scale, offset]).all() and scale > 0.0):
        raise DepthMessageError(
            f"the compressed image's header holds the quantisation parameters {scale:g} and {offset:g}, which no depth "
            "was coded with: publish it by compressed_depth_image_transport"
        )
    inverse = counts.astype(np.float32) - np.float32(offset)
    depth_m = np.zeros_like(inverse)
    with np.errstate(over="ignore"):
        np.divide(np.float32(scale), inverse, out=depth_m, where=(counts > 0) & (inverse > 0.0))
    return readings_only(depth_m)
