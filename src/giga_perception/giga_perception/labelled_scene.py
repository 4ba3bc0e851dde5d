"""One labelled scene, and the one file that holds it.

What is stored is what cannot be computed again cheaply: the clean depth image, the labels of the hand trials and the
occupancy. Noise, fusion and augmentation happen when a scene is used, afresh each time. A file carries a header of its
own, so that one which lost its folder still says what it is and what made it.
"""

from __future__ import annotations

import functools
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

from giga_perception.camera import PinholeCamera
from giga_perception.workspace import WORKSPACE_SIZE_M

FORMAT_NAME = "giga-labelled-scene"
FORMAT_VERSION = 1
OCCUPANCY_POINT_COUNT = 100_000
DEPTH_UNIT_M = 1e-4
"""One step of the stored depth: 16 bits reach 6.5 m, rounding costs 0.05 mm against sensor noise of 5 mm."""

SCENE_KINDS = ("pile", "packed")
SPLITS = ("train", "val")


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


@functools.cache
def occupancy_points_m() -> NDArray[np.float32]:
    """The points at which every scene states its occupancy: [100000, 3] metres in ``workspace``, filling the cube.

    The additive recurrence of Roberts (2018) in three dimensions: i times the powers of 1/g modulo 1, with g the real
    root of g^4 = g + 1. Any contiguous run of it is spread evenly too. The array is shared and read-only.
    """
    g = 1.0
    for _ in range(64):
        g = (1.0 + g) ** 0.25
    steps = np.array([1.0 / g, 1.0 / g**2, 1.0 / g**3])
    indices = np.arange(1, OCCUPANCY_POINT_COUNT + 1, dtype=np.float64)[:, None]
    points = (((0.5 + indices * steps) % 1.0) * WORKSPACE_SIZE_M).astype(np.float32)
    points.setflags(write=False)
    return points


def read_scene(path: Path | str) -> LabelledScene:
    """Reads one scene file. Raises DatasetError, naming the file, when it is damaged or of another format."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays["header"].tobytes())
        check_format(path, header)
        scene = _decode_scene(arrays, header)
        check_scene(scene)
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            f"{path} is damaged or no labelled scene ({type(error).__name__}: {error}); "
            "delete it and run `giga generate` again to make that scene anew"
        ) from error
    return scene


def read_scene_header(path: Path | str) -> dict[str, Any]:
    """The header of one scene file (kind, seed, split, object names, what made it), without decoding its arrays."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(stored["header"].tobytes())
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            f"{path} is damaged or no labelled scene ({type(error).__name__}: {error}); "
            "delete it and run `giga generate` again to make that scene anew"
        ) from error
    check_format(path, header)
    return header


def check_format(path: Path, header: Any) -> None:
    """Raises DatasetError, naming the file, when its header is not one this program reads."""
    if not isinstance(header, dict) or header.get("format") != FORMAT_NAME:
        raise DatasetError(f"{path} is not of the format {FORMAT_NAME}; name a folder that `giga generate` wrote")
    if header.get("version") != FORMAT_VERSION:
        raise DatasetError(
            f"{path} has format version {header.get('version')}, this program reads {FORMAT_VERSION}; "
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
    }
    camera = scene.camera
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8),
        depth=_pack_depth(scene.depth_m),
        intrinsics=np.array([camera.fx, camera.fy, camera.cx, camera.cy], dtype=np.float64),
        T_camera_workspace=scene.T_camera_workspace.as_matrix().astype(np.float64),
        centres_m=np.asarray(scene.centres_m, dtype=np.float32),
        rotations_xyzw=np.asarray(scene.rotations_xyzw, dtype=np.float32),
        widths_m=np.asarray(scene.widths_m, dtype=np.float32),
        successes=np.asarray(scene.successes, dtype=bool),
        occupancy=np.packbits(np.asarray(scene.occupancy, dtype=bool)),
    )
    return buffer.getvalue()


def _decode_scene(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> LabelledScene:
    width, height = (int(size) for size in header["image"])
    fx, fy, cx, cy = (float(value) for value in arrays["intrinsics"])
    return LabelledScene(
        seed=int(header["seed"]),
        scene=header["scene"],
        object_names=tuple(header["object_names"]),
        depth_m=_unpack_depth(arrays["depth"]),
        camera=PinholeCamera(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy),
        T_camera_workspace=RigidTransform.from_matrix(arrays["T_camera_workspace"]),
        centres_m=arrays["centres_m"],
        rotations_xyzw=arrays["rotations_xyzw"],
        widths_m=arrays["widths_m"],
        successes=arrays["successes"],
        occupancy=np.unpackbits(arrays["occupancy"], count=OCCUPANCY_POINT_COUNT).astype(bool),
        split=header["split"],
    )


def _pack_depth(depth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[2, H, W] bytes, high then low, of the differences along rows: a table seen without roll is constant there."""
    steps = np.rint(np.clip(np.asarray(depth_m, dtype=np.float64) / DEPTH_UNIT_M, 0, 65535)).astype(np.uint16)
    differences = np.diff(steps, axis=1, prepend=np.uint16(0))
    return np.stack([differences >> 8, differences & 255]).astype(np.uint8)


def _unpack_depth(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    differences = (packed[0].astype(np.uint16) << 8) | packed[1]
    # Differences were taken modulo 2^16, and so is their sum.
    steps = np.cumsum(differences, axis=1, dtype=np.uint16)
    return (steps * np.float32(DEPTH_UNIT_M)).astype(np.float32)
