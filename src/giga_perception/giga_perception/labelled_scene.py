"""One labelled scene, and the one file that holds it.

What is stored is what cannot be computed again cheaply: the clean depth images, the labels of the hand trials and the
occupancy. Noise, the choice of views, fusion and augmentation happen when a scene is used, afresh each time. A file
carries a header of its own, so that one which lost its folder still says what it is and what made it.

Version 1 of the format knew one image a scene, the side view. Version 2 may hold more; both are read.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.occupancy_points import OCCUPANCY_POINT_COUNT, has_these_points
from giga_perception.stored_depth import pack_depth, unpack_depth

FORMAT_NAME = "giga-labelled-scene"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)

SCENE_KINDS = ("pile", "packed")
SPLITS = ("train", "val")
# The arrays of the other views: packed images [n, 2, H, W] and poses [n, 4, 4]. Absent where there are none.
_OTHER_VIEWS = ("other_depths", "T_cameras_workspace")
# What reading a damaged or foreign file raises, somewhere in zip, deflate, NumPy's headers, JSON or our own checks.
_SIGNS_OF_DAMAGE = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)


class DatasetError(Exception):
    """A data set, or a file of one, cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class LabelledScene:
    """One scene as the hand trials left it: what the camera saw, which grasps held, where matter is.

    Grasp poses are those of VGN's grasp origin (near the finger roots; z approach, y closing axis) in ``workspace``.
    """

    seed: int
    """The seed that made the scene; unique among the scenes of one kind."""
    scene: Literal["pile", "packed"]
    object_names: tuple[str, ...]
    depth_m: NDArray[np.float32]
    """[H, W] metres along the optical axis, without noise; 0 where nothing was seen."""
    camera: PinholeCamera
    T_camera_workspace: RigidTransform
    centres_m: NDArray[np.float32]
    """[N, 3] grasp origins in ``workspace``, one row a labelled point."""
    rotations_xyzw: NDArray[np.float32]
    """[N, 4] unit quaternions; without meaning where ``successes`` is False."""
    widths_m: NDArray[np.float32]
    """[N] opening of the fingers while they hold; without meaning where ``successes`` is False."""
    successes: NDArray[np.bool_]
    """[N] whether any yaw at this point held."""
    occupancy: NDArray[np.bool_]
    """[P] inside any object, at ``occupancy_points_m()``."""
    split: Literal["train", "val"] = "train"
    """``val`` for scenes made of held-out objects only, which training must never see."""
    other_views: tuple[DepthView, ...] = ()
    """Clean images from elsewhere, all of the same camera; the side view above is always there."""


def read_scene(path: Path | str, *, other_views: bool = True) -> LabelledScene:
    """Reads one scene file. Raises DatasetError, naming the file, when it is damaged or of another format.

    other_views: False leaves all views but the side view on disk, which is quicker.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            wanted = [name for name in stored.files if other_views or name not in _OTHER_VIEWS]
            arrays = {name: stored[name] for name in wanted}
        header = json.loads(arrays["header"].tobytes())
        check_format(path, header)
        scene = _decode_scene(arrays, header)
        if other_views and 1 + len(scene.other_views) != header.get("views", 1):
            raise ValueError(f"it holds {1 + len(scene.other_views)} views, its header tells of {header['views']}")
        check_scene(scene)
    except _SIGNS_OF_DAMAGE as error:
        raise _damaged(path, error) from error
    return scene


def read_scene_header(path: Path | str) -> dict[str, Any]:
    """The header of one scene file (kind, seed, split, object names, what made it), without decoding its arrays."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(stored["header"].tobytes())
    except _SIGNS_OF_DAMAGE as error:
        raise _damaged(path, error) from error
    check_format(path, header)
    return header


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path} is damaged or no labelled scene ({type(error).__name__}: {error}); "
        "delete it and run `giga generate` again to make that scene anew"
    )


def check_format(path: Path, header: Any) -> None:
    """Raises DatasetError, naming the file, when its header is not one this program reads."""
    if not isinstance(header, dict) or header.get("format") != FORMAT_NAME:
        raise DatasetError(f"{path} is not of the format {FORMAT_NAME}; name a folder that `giga generate` wrote")
    if header.get("version") not in READABLE_VERSIONS:
        raise DatasetError(
            f"{path} has format version {header.get('version')}, this program reads "
            f"{' and '.join(map(str, READABLE_VERSIONS))}; use the program that wrote it, or generate the data again"
        )
    if not has_these_points(header):
        raise DatasetError(
            f"{path} states occupancy at other points than this program does (their checksum differs); "
            "use the program that wrote it, or generate the data again"
        )


def check_scene(scene: LabelledScene) -> None:
    """Raises ValueError, naming what is wrong, when a scene's arrays do not fit together."""
    count = len(scene.successes)
    shapes = {
        "depth_m": (scene.depth_m, (scene.camera.height, scene.camera.width)),
        "centres_m": (scene.centres_m, (count, 3)),
        "rotations_xyzw": (scene.rotations_xyzw, (count, 4)),
        "widths_m": (scene.widths_m, (count,)),
        "successes": (scene.successes, (count,)),
        "occupancy": (scene.occupancy, (OCCUPANCY_POINT_COUNT,)),
    }
    for name, (array, shape) in shapes.items():
        if np.shape(array) != shape:
            raise ValueError(f"{name} has shape {np.shape(array)}, should be {shape}")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name} holds values that are not finite")
    if scene.scene not in SCENE_KINDS:
        raise ValueError(f"scene is {scene.scene!r}, should be one of {SCENE_KINDS}")
    if scene.split not in SPLITS:
        raise ValueError(f"split is {scene.split!r}, should be one of {SPLITS}")
    if scene.seed < 0:
        raise ValueError(f"seed is {scene.seed}, should not be negative")
    held = np.asarray(scene.successes, dtype=bool)
    norms = np.linalg.norm(np.asarray(scene.rotations_xyzw)[held], axis=1)
    if np.any(np.abs(norms - 1.0) > 1e-3):
        raise ValueError("rotations_xyzw of a success is not a unit quaternion")
    if np.any(scene.depth_m < 0.0):
        raise ValueError("depth_m holds negative values")
    for number, view in enumerate(scene.other_views, start=1):
        if view.camera != scene.camera:
            raise ValueError(f"other view {number} is of another camera than the side view")
        if not np.all(np.isfinite(view.depth_m)) or np.any(view.depth_m < 0.0):
            raise ValueError(f"other view {number} holds depths that are negative or not finite")


def encode_scene(scene: LabelledScene, maker: Mapping[str, Any]) -> bytes:
    """The file of a scene; `maker` (what made it) goes into its header."""
    header = {
        **maker,
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "seed": int(scene.seed),
        "scene": scene.scene,
        "split": scene.split,
        "object_names": list(scene.object_names),
        "labels": len(scene.successes),
        "successes": int(np.count_nonzero(scene.successes)),
        "image": [scene.camera.width, scene.camera.height],
        "views": 1 + len(scene.other_views),
    }
    camera = scene.camera
    others = scene.other_views
    other_arrays: dict[str, Any] = {}
    if others:
        other_arrays["other_depths"] = np.stack([pack_depth(view.depth_m) for view in others])
        poses = [view.T_camera_workspace.as_matrix() for view in others]
        other_arrays["T_cameras_workspace"] = np.stack(poses).astype(np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8),
        depth=pack_depth(scene.depth_m),
        intrinsics=np.array([camera.fx, camera.fy, camera.cx, camera.cy], dtype=np.float64),
        T_camera_workspace=scene.T_camera_workspace.as_matrix().astype(np.float64),
        centres_m=np.asarray(scene.centres_m, dtype=np.float32),
        rotations_xyzw=np.asarray(scene.rotations_xyzw, dtype=np.float32),
        widths_m=np.asarray(scene.widths_m, dtype=np.float32),
        successes=np.asarray(scene.successes, dtype=bool),
        occupancy=np.packbits(np.asarray(scene.occupancy, dtype=bool)),
        **other_arrays,
    )
    return buffer.getvalue()


def _decode_scene(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> LabelledScene:
    width, height = (int(size) for size in header["image"])
    fx, fy, cx, cy = (float(value) for value in arrays["intrinsics"])
    camera = PinholeCamera(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)
    others = [
        DepthView(unpack_depth(packed), camera, RigidTransform.from_matrix(matrix))
        for packed, matrix in zip(*(arrays.get(name, ()) for name in _OTHER_VIEWS), strict=True)
    ]
    return LabelledScene(
        seed=int(header["seed"]),
        scene=header["scene"],
        object_names=tuple(header["object_names"]),
        depth_m=unpack_depth(arrays["depth"]),
        camera=camera,
        T_camera_workspace=RigidTransform.from_matrix(arrays["T_camera_workspace"]),
        centres_m=arrays["centres_m"],
        rotations_xyzw=arrays["rotations_xyzw"],
        widths_m=arrays["widths_m"],
        successes=arrays["successes"],
        occupancy=np.unpackbits(arrays["occupancy"], count=OCCUPANCY_POINT_COUNT).astype(bool),
        split=header["split"],
        other_views=tuple(others),
    )
