"""A camera's intrinsics and pose read from JSON files.

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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import PinholeCamera
from giga_perception.input_file import InputFileError, finite_numbers, read_json

_ROTATION_TOLERANCE = 1e-3
_FARTHEST_PLAUSIBLE_CAMERA_M = 10.0


def read_camera(path: Path, width: int, height: int) -> PinholeCamera:
    """Intrinsics of the camera that took an image of ``width`` by ``height`` pixels."""
    content = read_json(path, "intrinsics")
    if isinstance(content, list):
        content = {"K": content}
    if not isinstance(content, dict):
        raise InputFileError(f"{path}: expected an object with fx, fy, cx, cy, or with a 3x3 list K")
    if "K" in content:
        matrix = finite_numbers(path, "K", content["K"], 9).reshape(3, 3)
        if not np.allclose([matrix[1, 0], matrix[2, 0], matrix[2, 1], matrix[2, 2]], [0.0, 0.0, 0.0, 1.0]):
            raise InputFileError(f"{path}: K must read [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], row by row")
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    else:
        missing = [key for key in ("fx", "fy", "cx", "cy") if key not in content]
        if missing:
            raise InputFileError(f"{path}: lacks {', '.join(missing)} (or K, the 3x3 matrix of intrinsics)")
        fx, fy, cx, cy = (float(finite_numbers(path, key, content[key], 1)[0]) for key in ("fx", "fy", "cx", "cy"))
    for key, actual in (("width", width), ("height", height)):
        if key in content and content[key] != actual:
            raise InputFileError(
                f"{path}: is for a {content.get('width', '?')} x {content.get('height', '?')} image, "
                f"but the depth image is {width} x {height}; give the intrinsics of this resolution"
            )
    if fx <= 0.0 or fy <= 0.0:
        raise InputFileError(f"{path}: focal lengths must be positive pixels, not fx {fx:g}, fy {fy:g}")
    if not (0.0 <= cx <= width and 0.0 <= cy <= height):
        raise InputFileError(
            f"{path}: the image centre ({cx:g}, {cy:g}) lies outside the {width} x {height} depth image; "
            "give the intrinsics of this resolution, in pixels"
        )
    return PinholeCamera(width=width, height=height, fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy))


def read_T_camera_workspace(path: Path) -> RigidTransform:
    """The camera's pose, whichever of the two ways the file gives it."""
    content = read_json(path, "extrinsics")
    keys = ("T_camera_workspace", "T_workspace_camera")
    given = [key for key in keys if isinstance(content, dict) and key in content]
    if len(given) != 1:
        raise InputFileError(
            f"{path}: must hold one of T_camera_workspace (maps workspace coordinates to the camera's) "
            "and T_workspace_camera (the other way round)"
        )
    transform = _read_transform(path, given[0], content[given[0]])
    return transform if given[0] == "T_camera_workspace" else transform.inv()


def _read_transform(path: Path, key: str, value: Any) -> RigidTransform:
    if isinstance(value, Mapping):
        if set(value) != {"translation_m", "rotation_xyzw"}:
            raise InputFileError(f"{path}: {key} needs exactly translation_m and rotation_xyzw (or be a 4x4 list)")
        translation_m = finite_numbers(path, f"{key}.translation_m", value["translation_m"], 3)
        quaternion = finite_numbers(path, f"{key}.rotation_xyzw", value["rotation_xyzw"], 4)
        length = float(np.linalg.norm(quaternion))
        if abs(length - 1.0) > _ROTATION_TOLERANCE * 10:
            raise InputFileError(f"{path}: {key}.rotation_xyzw is no rotation: its length is {length:.3g}, not 1")
        rotation = Rotation.from_quat(quaternion)
    else:
        matrix = finite_numbers(path, key, value, 16).reshape(4, 4)
        if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0]):
            raise InputFileError(f"{path}: the last row of {key} must be 0 0 0 1; is the matrix transposed?")
        rotation_part, translation_m = matrix[:3, :3], matrix[:3, 3]
        if not np.allclose(rotation_part @ rotation_part.T, np.eye(3), atol=_ROTATION_TOLERANCE):
            raise InputFileError(
                f"{path}: the upper left 3x3 of {key} is no rotation: its columns are not unit vectors at right angles"
            )
        if np.linalg.det(rotation_part) < 0.0:
            raise InputFileError(f"{path}: the upper left 3x3 of {key} is a mirror image, no rotation; negate one axis")
        rotation = Rotation.from_matrix(rotation_part)
    distance_m = float(np.linalg.norm(translation_m))
    if distance_m > _FARTHEST_PLAUSIBLE_CAMERA_M:
        raise InputFileError(f"{path}: {key} puts the camera {distance_m:.0f} m away; translations are metres")
    return RigidTransform.from_components(translation_m, rotation)
