"""One recorded depth image and its two JSON files, read as a `DepthView`.

Depth: a 16-bit image (PNG, TIFF) in millimetres, or floats in metres (``.npy``, ``.npz``, ``.tiff``, ``.exr``), any size.

Intrinsics, one of::

    {"fx": 540.0, "fy": 540.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480}
    {"K": [[540.0, 0, 320.0], [0, 540.0, 240.0], [0, 0, 1]]}

``K`` may also be its nine numbers in a row (as in a CameraInfo); ``width`` and ``height`` are optional, and checked.

Extrinsics, under the key that says which way it maps::

    {"T_camera_workspace": [[...], [...], [...], [0, 0, 0, 1]]}
    {"T_workspace_camera": {"translation_m": [0.15, -0.37, 0.40], "rotation_xyzw": [-0.866, 0, 0, 0.5]}}

``T_a_b`` maps coordinates in b to a; the camera's frame is the optical one (z forward, x right, y down).
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.workspace import WORKSPACE_SIZE_M

MILLIMETRE_M = 0.001
"""What one count of an integer depth image is worth unless the caller says otherwise."""

_FARTHEST_PLAUSIBLE_M = 20.0
_NEAREST_PLAUSIBLE_M = 0.02
_ROTATION_TOLERANCE = 1e-3
_FARTHEST_PLAUSIBLE_CAMERA_M = 10.0
_ARRAY_NAMES = ("depth_m", "depth")


class RecordedViewError(ValueError):
    """A file of a recorded view cannot be used; the message names the file and says what to do."""


def read_depth_view(
    depth_path: Path, intrinsics_path: Path, extrinsics_path: Path, count_m: float = MILLIMETRE_M
) -> DepthView:
    """Read all three files and check that they belong together.

    Raises `RecordedViewError` for the first thing that is wrong, also when the camera does not see the workspace.
    """
    depth_m = read_depth_m(depth_path, count_m)
    height, width = depth_m.shape
    camera = read_camera(intrinsics_path, width, height)
    T_camera_workspace = read_T_camera_workspace(extrinsics_path)
    view = DepthView(depth_m=depth_m, camera=camera, T_camera_workspace=T_camera_workspace)
    _check_workspace_in_view(view, extrinsics_path)
    return view


def read_depth_m(path: Path, count_m: float = MILLIMETRE_M) -> NDArray[np.float32]:
    """Depth [H, W] in metres along the optical axis; 0 where the file holds no valid depth.

    ``count_m`` is what one count of an integer image is worth; float files are metres.
    """
    _check_is_file(path, "depth image")
    raw = _read_array(path) if path.suffix.lower() in (".npy", ".npz") else _read_image(path)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[:, :, 0]
    if raw.ndim != 2 or raw.size == 0:
        raise RecordedViewError(
            f"{path}: a depth image has one channel, this has the shape {raw.shape}; is it the colour image?"
        )
    if raw.dtype in (np.uint8, np.int8, np.bool_):
        raise RecordedViewError(
            f"{path}: 8-bit images cannot hold depth; save it as a 16-bit PNG in millimetres, or as floats in metres"
        )
    if not (np.issubdtype(raw.dtype, np.integer) or np.issubdtype(raw.dtype, np.floating)):
        raise RecordedViewError(f"{path}: holds values of type {raw.dtype}, not depths")
    is_counts = np.issubdtype(raw.dtype, np.integer)
    depth_m = raw.astype(np.float32) * np.float32(count_m) if is_counts else raw.astype(np.float32)
    depth_m[~np.isfinite(depth_m) | (depth_m < 0.0)] = 0.0
    _check_depth_range(path, depth_m, is_counts, count_m)
    return depth_m


def read_camera(path: Path, width: int, height: int) -> PinholeCamera:
    """Intrinsics of the camera that took an image of ``width`` by ``height`` pixels."""
    content = _read_json(path, "intrinsics")
    if isinstance(content, list):
        content = {"K": content}
    if not isinstance(content, dict):
        raise RecordedViewError(f"{path}: expected an object with fx, fy, cx, cy, or with a 3x3 list K")
    if "K" in content:
        matrix = _numbers(path, "K", content["K"], 9).reshape(3, 3)
        if not np.allclose([matrix[1, 0], matrix[2, 0], matrix[2, 1], matrix[2, 2]], [0.0, 0.0, 0.0, 1.0]):
            raise RecordedViewError(f"{path}: K must read [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], row by row")
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    else:
        missing = [key for key in ("fx", "fy", "cx", "cy") if key not in content]
        if missing:
            raise RecordedViewError(f"{path}: lacks {', '.join(missing)} (or K, the 3x3 matrix of intrinsics)")
        fx, fy, cx, cy = (float(_numbers(path, key, content[key], 1)[0]) for key in ("fx", "fy", "cx", "cy"))
    for key, actual in (("width", width), ("height", height)):
        if key in content and content[key] != actual:
            raise RecordedViewError(
                f"{path}: is for a {content.get('width', '?')} x {content.get('height', '?')} image, "
                f"but the depth image is {width} x {height}; give the intrinsics of this resolution"
            )
    if fx <= 0.0 or fy <= 0.0:
        raise RecordedViewError(f"{path}: focal lengths must be positive pixels, not fx {fx:g}, fy {fy:g}")
    if not (0.0 <= cx <= width and 0.0 <= cy <= height):
        raise RecordedViewError(
            f"{path}: the image centre ({cx:g}, {cy:g}) lies outside the {width} x {height} depth image; "
            "give the intrinsics of this resolution, in pixels"
        )
    return PinholeCamera(width=width, height=height, fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy))


def read_T_camera_workspace(path: Path) -> RigidTransform:
    """The camera's pose, whichever of the two ways the file gives it."""
    content = _read_json(path, "extrinsics")
    keys = ("T_camera_workspace", "T_workspace_camera")
    given = [key for key in keys if isinstance(content, dict) and key in content]
    if len(given) != 1:
        raise RecordedViewError(
            f"{path}: must hold one of T_camera_workspace (maps workspace coordinates to the camera's) "
            "and T_workspace_camera (the other way round)"
        )
    transform = _read_transform(path, given[0], content[given[0]])
    return transform if given[0] == "T_camera_workspace" else transform.inv()


def _read_transform(path: Path, key: str, value: Any) -> RigidTransform:
    if isinstance(value, Mapping):
        if set(value) != {"translation_m", "rotation_xyzw"}:
            raise RecordedViewError(f"{path}: {key} needs exactly translation_m and rotation_xyzw (or be a 4x4 list)")
        translation_m = _numbers(path, f"{key}.translation_m", value["translation_m"], 3)
        quaternion = _numbers(path, f"{key}.rotation_xyzw", value["rotation_xyzw"], 4)
        length = float(np.linalg.norm(quaternion))
        if abs(length - 1.0) > _ROTATION_TOLERANCE * 10:
            raise RecordedViewError(f"{path}: {key}.rotation_xyzw is no rotation: its length is {length:.3g}, not 1")
        rotation = Rotation.from_quat(quaternion)
    else:
        matrix = _numbers(path, key, value, 16).reshape(4, 4)
        if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0]):
            raise RecordedViewError(f"{path}: the last row of {key} must be 0 0 0 1; is the matrix transposed?")
        rotation_part, translation_m = matrix[:3, :3], matrix[:3, 3]
        if not np.allclose(rotation_part @ rotation_part.T, np.eye(3), atol=_ROTATION_TOLERANCE):
            raise RecordedViewError(
                f"{path}: the upper left 3x3 of {key} is no rotation: its columns are not unit vectors at right angles"
            )
        if np.linalg.det(rotation_part) < 0.0:
            raise RecordedViewError(f"{path}: the upper left 3x3 of {key} is no rotation but a mirror image; negate one axis")
        rotation = Rotation.from_matrix(rotation_part)
    distance_m = float(np.linalg.norm(translation_m))
    if distance_m > _FARTHEST_PLAUSIBLE_CAMERA_M:
        raise RecordedViewError(f"{path}: {key} puts the camera {distance_m:.0f} m away; translations are metres")
    return RigidTransform.from_components(translation_m, rotation)


def _check_depth_range(path: Path, depth_m: NDArray[np.float32], is_counts: bool, count_m: float) -> None:
    valid = depth_m[depth_m > 0.0]
    if valid.size == 0:
        raise RecordedViewError(f"{path}: no pixel holds a valid depth")
    typical_m = float(np.median(valid))
    if _NEAREST_PLAUSIBLE_M <= typical_m <= _FARTHEST_PLAUSIBLE_M:
        return
    if is_counts:
        raise RecordedViewError(
            f"{path}: read at {count_m * 1000:g} mm a count, the typical depth is {typical_m:.3g} m; "
            "say what a count is worth with --depth-unit, or save metres as floats"
        )
    looks_like_mm = typical_m > _FARTHEST_PLAUSIBLE_M
    raise RecordedViewError(
        f"{path}: floats are read as metres, and the typical depth would be {typical_m:.3g} m; "
        + ("these look like millimetres: divide by 1000 first" if looks_like_mm else "are these metres?")
    )


def _check_workspace_in_view(view: DepthView, path: Path) -> None:
    side = np.linspace(0.0, WORKSPACE_SIZE_M, 5)
    points = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = np.asarray(view.T_camera_workspace.apply(points)).T
    camera = view.camera
    in_front = z > 0.0
    depth = np.where(in_front, z, 1.0)
    column = camera.fx * x / depth + camera.cx
    row = camera.fy * y / depth + camera.cy
    seen = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    if not seen.any():
        where = "outside the image" if in_front.any() else "behind the camera"
        raise RecordedViewError(
            f"{path}: with this pose the whole workspace lies {where}; are T_camera_workspace and T_workspace_camera "
            "swapped, or is the camera's frame not the optical one (z forward, x right, y down)?"
        )


def _check_is_file(path: Path, what: str) -> None:
    if not path.exists():
        raise RecordedViewError(f"{path}: no such file ({what})")
    if not path.is_file():
        raise RecordedViewError(f"{path}: is a folder, not a file ({what})")


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
                raise RecordedViewError(
                    f"{path}: holds the arrays {', '.join(loaded.files) or '(none)'}; name the depth image 'depth_m'"
                )
            return np.asarray(loaded[name])
    except RecordedViewError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RecordedViewError(f"{path}: is no readable NumPy file of plain numbers ({error})") from error


def _read_image(path: Path) -> NDArray[Any]:
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # OpenCV reads EXR files only when told so before its import
    import cv2

    try:
        encoded = np.fromfile(path, dtype=np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except OSError as error:
        raise RecordedViewError(f"{path}: cannot be read ({error.strerror})") from error
    except cv2.error as error:
        raise RecordedViewError(f"{path}: OpenCV cannot decode it ({error.err}); save it as .npy or 16-bit .png") from error
    if image is None:
        raise RecordedViewError(f"{path}: is not an image that can be read; give a 16-bit PNG, TIFF, EXR, .npy or .npz")
    return np.asarray(image)


def _read_json(path: Path, what: str) -> Any:
    _check_is_file(path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordedViewError(f"{path}: is not JSON ({what}): {error}") from error
    except OSError as error:
        raise RecordedViewError(f"{path}: cannot be read ({error.strerror})") from error


def _numbers(path: Path, key: str, value: Any, count: int) -> NDArray[np.float64]:
    """``count`` finite numbers, however nested they are."""
    try:
        array = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise RecordedViewError(f"{path}: {key} must be {count} number(s), evenly nested") from error
    if array.size != count:
        raise RecordedViewError(f"{path}: {key} must be {count} number(s), not {array.size}")
    if not np.isfinite(array).all():
        raise RecordedViewError(f"{path}: {key} holds a value that is not finite")
    return array
