"""What a depth image's numbers mean, wherever they come from: metres, and what counts as a reading.

REP 118 and 117 give the non-finite values meanings: -Inf is too close to measure, +Inf too far, NaN unknown; a 16-bit
image has one, 0, for all three. To a TSDF all are the same, no reading; so are negative values, which no camera means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MILLIMETRE_M = 0.001
"""What one count of an integer depth image is worth unless somebody says otherwise (REP 118)."""

NEAREST_PLAUSIBLE_M = 0.02
FARTHEST_PLAUSIBLE_M = 20.0

_INFINITY_BITS = np.uint32(0x7F800000)


def readings_only(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy of ``depth_m`` (any shape) in which every value that is no reading is 0.

    Read as unsigned integers, the floats from 0 to the greatest finite one are those below +Inf; NaN and everything
    with a sign lie at or above it. So one comparison and one multiplication do, several times faster than asking for
    each kind of value.
    """
    bits = depth_m.view(np.uint32)
    return np.multiply(bits, bits < _INFINITY_BITS).view(np.float32)


def metres_from_counts(counts: NDArray[np.integer], count_m: float = MILLIMETRE_M) -> NDArray[np.float32]:
    """Depth in metres of unsigned counts, each worth ``count_m``; 0 stays 0."""
    return np.multiply(counts, np.float32(count_m), dtype=np.float32)


def implausible_depth_m(depth_m: NDArray[np.float32]) -> float | None:
    """The median reading in metres when most readings are such as no camera over a table gives; None when all is well.

    When fewer than half lie within 2 cm and 20 m, the numbers are of another unit, type or byte order. The median alone
    would not do: floats of the wrong byte order are scattered over all magnitudes, with their median near one. An image
    without a reading is not implausible.
    """
    valid = depth_m[depth_m > 0.0]
    within = np.count_nonzero((valid >= NEAREST_PLAUSIBLE_M) & (valid <= FARTHEST_PLAUSIBLE_M))
    return None if 2 * within >= valid.size else float(np.median(valid))
