"""One recorded depth image read from a file.

A 16-bit image (PNG, TIFF) holds millimetres; floats (``.npy``, ``.npz``, ``.tiff``) hold metres. Any size. Float
``.exr`` is read too where OpenCV is built with it, as Ubuntu's is and PyPI's is not.
"""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giga_perception.depth_values import (
    FARTHEST_PLAUSIBLE_M,
    MILLIMETRE_M,
    implausible_depth_m,
    metres_from_counts,
    readings_only,
)
from giga_perception.input_file import InputFileError, check_is_file
from giga_perception.png_stream import is_cut_short, is_png

_ARRAY_NAMES = ("depth_m", "depth")

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,  # a header that states an absurd shape
    RuntimeError,  # encrypted, or packed in a way that zipfile does not know (NotImplementedError)
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)
"""What NumPy and the modules below it raise for damaged files."""


def read_depth_m(path: Path, count_m: float = MILLIMETRE_M) -> NDArray[np.float32]:
    """Depth [H, W] in metres along the optical axis; 0 where the file holds no valid depth.

    ``count_m`` is what one count of an integer image is worth; float files are metres.
    """
    check_is_file(path, "depth image")
    raw = _read_array(path) if path.suffix.lower() in (".npy", ".npz") else _read_image(path)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[:, :, 0]
    if raw.ndim != 2 or raw.size == 0:
        raise InputFileError(
            f"{path}: a depth image has one channel, this has the shape {raw.shape}; is it the colour image?"
        )
    if raw.dtype in (np.uint8, np.int8, np.bool_):
        raise InputFileError(
            f"{path}: 8-bit images cannot hold depth; save it as a 16-bit PNG in millimetres, or as floats in metres"
        )
    if not (np.issubdtype(raw.dtype, np.integer) or np.issubdtype(raw.dtype, np.floating)):
        raise InputFileError(f"{path}: holds values of type {raw.dtype}, not depths")
    is_counts = np.issubdtype(raw.dtype, np.integer)
    if is_counts:
        depth_m = metres_from_counts(raw, count_m)
    else:
        with np.errstate(over="ignore"):  # a depth beyond float32 becomes infinite, and so no reading
            depth_m = np.ascontiguousarray(raw, dtype=np.float32)
    depth_m = readings_only(depth_m)
    _check_depth_range(path, depth_m, is_counts, count_m)
    return depth_m


def _check_depth_range(path: Path, depth_m: NDArray[np.float32], is_counts: bool, count_m: float) -> None:
    if not depth_m.any():
        raise InputFileError(f"{path}: no pixel holds a valid depth")
    typical_m = implausible_depth_m(depth_m)
    if typical_m is None:
        return
    if is_counts:
        raise InputFileError(
            f"{path}: read at {count_m * 1000:g} mm a count, the typical depth would be {typical_m:.3g} m; "
            "say what a count is worth with --depth-unit, or save metres as floats"
        )
    looks_like_mm = typical_m > FARTHEST_PLAUSIBLE_M
    raise InputFileError(
        f"{path}: floats are read as metres, and the typical depth would be {typical_m:.3g} m; "
        + ("these look like millimetres: divide by 1000 first" if looks_like_mm else "are these metres?")
    )


def _read_array(path: Path) -> NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            name = next((name for name in _ARRAY_NAMES if name in loaded), None)
            if name is None and len(loaded.files) == 1:
                name = loaded.files[0]
            if name is None:
                raise InputFileError(
                    f"{path}: holds the arrays {', '.join(loaded.files) or '(none)'}; name the depth image 'depth_m'"
                )
            return np.asarray(loaded[name])
    except InputFileError:
        raise
    except _UNREADABLE as error:
        raise InputFileError(f"{path}: is no readable NumPy file of plain numbers ({error})") from error


def _read_image(path: Path) -> NDArray[Any]:
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # OpenCV reads EXR files only when told so before its import
    import cv2

    try:
        encoded = np.fromfile(path, dtype=np.uint8)
        if is_png(encoded) and is_cut_short(encoded):
            raise InputFileError(f"{path}: is a PNG that is cut short; copy or record it anew")
        image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror})") from error
    except cv2.error as error:
        raise InputFileError(f"{path}: OpenCV cannot decode it ({error.err}); save it as .npy or .png") from error
    if image is None:
        raise InputFileError(
            f"{path}: is not an image that can be read; give a 16-bit PNG or TIFF in millimetres, or metres as floats "
            "in .tiff, .npy or .npz"
        )
    return np.asarray(image)
