"""RVL, the lossless coding of depth images by run lengths (Wilson, "Fast Lossless Depth Image Compression", 2017).

The image is a chain of numbers: how many zeros, how many pixels with a value, then those pixels' steps from the pixel
before; and so on. A step is folded to be positive (0, -1, 1, -2 ... become 0, 1, 2, 3 ...). A number is written in
groups of three bits, the lowest first, each in half a byte whose top bit says that more follow. Eight such halves make
a little-endian 32-bit word, the first in its highest bits. In front stand width and height as two uint32.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from giga_perception.depth_message_error import DepthMessageError

_SIZE = struct.Struct("<II")
_MOST_PIXELS = 2**26
_MOST_GROUPS = 10  # 30 bits: more than any count of pixels that is let through

_DAMAGED = "the compressed image's RVL stream is damaged or cut short: is the connection losing data?"


def counts_from_rvl(stream: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The image [H, W] in an RVL stream with its size in front; raises `DepthMessageError` when it is damaged."""
    if stream.size <= _SIZE.size:
        raise DepthMessageError(_DAMAGED)
    width, height = _SIZE.unpack_from(stream.data)
    pixels = width * height
    if not 0 < pixels <= _MOST_PIXELS:
        raise DepthMessageError(f"the compressed image's RVL stream states a size of {width} x {height} pixels")
    numbers = _numbers(stream[_SIZE.size :])
    folded = np.zeros(pixels, dtype=np.int64)
    has_value = np.zeros(pixels, dtype=np.bool_)
    pixel = at = 0
    while pixel < pixels:
        if at + 2 > numbers.size:
            raise DepthMessageError(_DAMAGED)
        zeros, values = int(numbers[at]), int(numbers[at + 1])
        at += 2
        pixel += zeros
        if pixel + values > pixels or at + values > numbers.size or zeros + values == 0:
            raise DepthMessageError(_DAMAGED)
        folded[pixel : pixel + values] = numbers[at : at + values]
        has_value[pixel : pixel + values] = True
        pixel += values
        at += values
    # Pixels without a value take no step, so that the sum runs through them unchanged.
    steps = (folded >> 1) ^ -(folded & 1)
    counts = np.cumsum(steps).astype(np.uint16)
    counts[~has_value] = 0
    return counts.reshape(height, width)


def _numbers(stream: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The chain of numbers; what pads the last word comes out as zeros at its end."""
    words = stream[: stream.size - stream.size % 4].reshape(-1, 4)[:, ::-1].reshape(-1)
    halves = np.empty(2 * words.size, dtype=np.uint8)
    halves[0::2], halves[1::2] = words >> 4, words & 0xF
    ends = np.flatnonzero(halves < 8)
    if ends.size == 0:
        raise DepthMessageError(_DAMAGED)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MOST_GROUPS:
        raise DepthMessageError(_DAMAGED)
    halves = halves[: ends[-1] + 1]
    group = np.arange(halves.size) - np.repeat(starts, lengths)
    return np.add.reduceat((halves & 7).astype(np.int64) << (3 * group), starts)
