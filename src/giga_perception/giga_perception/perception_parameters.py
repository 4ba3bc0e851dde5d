"""What can be set about perception_node, in one table: default, range, unit, text. Knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One parameter: range with both ends allowed (None for text and switches), unit, meaning.

    A ``live`` parameter counts from the next image or request on; any other when the node is configured.
    """

    name: str
    default: bool | int | float | str
    low: float | None
    high: float | None
    unit: str
    text: str
    live: bool = False


TABLE = (
    Row("autostart", True, None, None, "", "configure and activate at the start, without a lifecycle manager"),
    Row("model", "", None, None, "", "path of a model file; empty = $GIGA_MODEL, or else the shipped weights"),
    Row("workspace_frame", "workspace", None, None, "", "tf frame of the cube: origin at its lower corner, z up"),
    Row("quality_threshold", 0.5, 0.0, 1.0, "", "least quality of a grasp, unless a request asks otherwise", live=True),
    Row("out_threshold", 0.5, 0.01, 0.99, "", "TSDF value above which a voxel is in front of a surface"),
    Row("resolution", 40, 8, 160, "", "grasp centres asked for along each side of the workspace"),
    Row("mesh_resolution", 40, 8, 160, "", "cells a side of the mesh, unless a request asks otherwise", live=True),
    Row("detect_continuously", False, None, None, "", "detect in every image, not only on request", live=True),
    Row("fresh_image_timeout_s", 5.0, 0.1, 600.0, "s", "wall time to wait for a depth image", live=True),
    Row("transform_timeout_s", 1.0, 0.0, 60.0, "s", "wall time to wait for a transform", live=True),
    Row("threads", 1, 0, 64, "", "processor threads of the network; 0 = one a core, only where they idle"),
)


@dataclass(frozen=True)
class PerceptionParameters:
    """The values of `TABLE`, which says what each means."""

    autostart: bool
    model: str
    workspace_frame: str
    quality_threshold: float
    out_threshold: float
    resolution: int
    mesh_resolution: int
    detect_continuously: bool
    fresh_image_timeout_s: float
    transform_timeout_s: float
    threads: int


def perception_parameters(values: Mapping[str, bool | int | float | str]) -> PerceptionParameters:
    """The parameters by name; what is not given has its default. Raises TypeError for an unknown name."""
    return PerceptionParameters(**{row.name: row.default for row in TABLE} | dict(values))  # type: ignore[arg-type]
