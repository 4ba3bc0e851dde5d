"""What can be told of a PNG before it is decoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LAST_CHUNK = b"IEND"


def is_png(stream: NDArray[np.uint8]) -> bool:
    """Whether these bytes begin like a PNG."""
    return stream[: len(_SIGNATURE)].tobytes() == _SIGNATURE


def is_cut_short(stream: NDArray[np.uint8]) -> bool:
    """Whether a PNG lacks its end. Decoders see that too, but print lines of their own about it."""
    return _LAST_CHUNK not in stream.tobytes()
