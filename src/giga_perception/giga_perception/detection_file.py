"""A detection as JSON: what `giga detect` leaves for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView
from giga_perception.detection import Detection

FORMAT = "giga-detection"
FORMAT_VERSION = 1

_ABOUT = (
    "T_a_b maps coordinates in b to a; metres, quaternions x, y, z, w. tcp is panda_hand_tcp, the point between the "
    "finger pads: z along the approach, y along the closing direction. width_m is the distance between the pads while "
    "holding. camera is the optical frame of the first view."
)


def detection_record(
    detection: Detection, views: Sequence[DepthView], source: dict[str, Any], most: int = 0
) -> dict[str, Any]:
    """The ranked grasps, at most ``most`` (0 = all), in the workspace's and the first camera's frame, and the report.

    ``source`` says what the detection was made from; it is written as it is.
    """
    grasps = detection.grasps[: most or None]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "about": _ABOUT,
        "source": source,
        "report": asdict(detection.report),
        "grasps": [
            {
                "rank": rank,
                "quality": grasp.quality,
                "width_m": grasp.width_m,
                "T_workspace_tcp": _transform_record(grasp.T_workspace_tcp),
                "T_camera_tcp": _transform_record(views[0].T_camera_workspace * grasp.T_workspace_tcp),
            }
            for rank, grasp in enumerate(grasps, start=1)
        ],
    }


def write_detection(path: Path, record: dict[str, Any]) -> None:
    """Write the record under a temporary name and rename it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _transform_record(transform: RigidTransform) -> dict[str, list[float]]:
    return {
        "translation_m": [float(value) for value in transform.translation],
        "rotation_xyzw": [float(value) for value in transform.rotation.as_quat()],
    }
