"""What can be set about perception_node, in one table: default, range or choices, unit, text. Knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from giga_perception.detection_mode import MODE_NAMES
from giga_perception.selection_policy import POLICY_NAMES

Value = bool | int | float | str | tuple[str, ...]

FUSIONS = ("newest", "window")
TRANSPORTS = ("raw", "compressedDepth")
ROBOT_FILTERS = ("auto", "off")
RECTIFICATIONS = ("auto", "yes", "no")


@dataclass(frozen=True)
class Row:
    """One parameter: range with both ends allowed (None for text and switches), unit, meaning, choices (empty = any).

    A ``live`` parameter counts from the next image or request on; any other when the node is configured.
    """

    name: str
    default: Value
    low: float | None
    high: float | None
    unit: str
    text: str
    live: bool = False
    choices: tuple[str, ...] = ()


TABLE = (
    Row("autostart", True, None, None, "", "configure and activate at the start, without a lifecycle manager"),
    Row("model", "", None, None, "", "path of a model file; empty = $GIGA_MODEL, or else the shipped weights"),
    Row(
        *("mode", "auto", None, None, ""),
        "beyond the network's own answer: plain = nothing, fast = a second look, careful = all that helps, several "
        "times the time; auto = fast where the model has a judge",
        choices=MODE_NAMES,
    ),
    Row("device", "cpu", None, None, "", "where the network runs: cpu, cuda, or cuda:N"),
    Row("threads", 1, 0, 64, "", "processor threads of the network; 0 = one a core, only where they idle"),
    # Input.
    Row(
        *("cameras", ("camera",), None, None, ""),
        "prefixes of the cameras' topics, <prefix>/depth/image_rect_raw and <prefix>/depth/camera_info; all are fused",
    ),
    Row("transport", "raw", None, None, "", "how depth images travel, as image_transport names it", choices=TRANSPORTS),
    Row(
        *("rectified", "auto", None, None, ""),
        "whether the images are free of distortion; auto = judged by the topic's name",
        choices=RECTIFICATIONS,
    ),
    Row("workspace_frame", "workspace", None, None, "", "tf frame of the cube: origin at its lower corner, z up"),
    Row("min_depth_m", 0.0, 0.0, 1.0, "m", "nearer readings are dropped; 0.25 for a camera in the hand", live=True),
    Row("max_depth_m", 2.0, 0.1, 2.0, "m", "readings at this distance and beyond are dropped", live=True),
    Row("fresh_image_timeout_s", 5.0, 0.1, 600.0, "s", "wall time to wait for a depth image", live=True),
    Row("transform_timeout_s", 1.0, 0.0, 60.0, "s", "wall time to wait for a transform", live=True),
    Row(
        *("max_camera_lag_s", 1.0, 0.0, 600.0, "s"),
        "a camera whose newest image is this much older than another camera's counts as silent; 0 = never",
        live=True,
    ),
    # What is fused.
    Row(
        *("fusion", "newest", None, None, ""),
        "newest = each camera's newest image; window = all of the last window_s, as from a camera in the moving hand",
        live=True,
        choices=FUSIONS,
    ),
    Row("window_s", 2.0, 0.1, 20.0, "s", "age, before the newest image, up to which views are fused", live=True),
    Row("window_views", 8, 1, 32, "", "most views of one camera that are fused, the newest ones", live=True),
    # The robot in its own image.
    Row(
        *("robot_filter", "auto", None, None, ""),
        "drop the robot's own pixels: auto = when there is a robot_description; off = never",
        live=True,
        choices=ROBOT_FILTERS,
    ),
    Row("robot_growth_m", 0.02, 0.0, 0.2, "m", "how much larger than its model the robot is taken to be"),
    Row("robot_frame_prefix", "", None, None, "", "what stands before the robot's link names in tf"),
    Row(
        *("max_hidden_by_robot", 0.2, 0.0, 1.0, ""),
        "share of the workspace that the robot may hide; above it no grasps are given",
        live=True,
    ),
    # Grasps.
    Row("quality_threshold", 0.5, 0.0, 1.0, "", "least quality of a grasp, unless a request asks otherwise", live=True),
    Row("out_threshold", 0.5, 0.01, 0.99, "", "TSDF value above which a voxel is in front of a surface", live=True),
    Row("resolution", 40, 8, 160, "", "grasp centres asked for along each side of the workspace", live=True),
    Row(
        *("best_forced", False, None, None, ""),
        "when nothing reaches the threshold, give the single best grasp of at least 0.5",
        live=True,
    ),
    Row("selection", "best", None, None, "", "which grasp comes first", live=True, choices=POLICY_NAMES),
    Row("max_grasps", 0, 0, 10000, "", "most grasps given; a request may ask for fewer; 0 = all", live=True),
    Row("detect_continuously", False, None, None, "", "detect in every image, not only on request", live=True),
    # The rest.
    Row("mesh_resolution", 40, 8, 160, "", "cells a side of the mesh, unless a request asks otherwise", live=True),
    Row(
        *("table_check_period_s", 5.0, 0.0, 3600.0, "s"),
        "wall time between two looks for the table plane, told on /diagnostics; 0 = never",
        live=True,
    ),
)

ROW_OF = {row.name: row for row in TABLE}


@dataclass(frozen=True)
class PerceptionParameters:
    """The values of `TABLE`, which says what each means."""

    autostart: bool
    model: str
    mode: str
    device: str
    threads: int
    cameras: tuple[str, ...]
    transport: str
    rectified: str
    workspace_frame: str
    min_depth_m: float
    max_depth_m: float
    fresh_image_timeout_s: float
    transform_timeout_s: float
    max_camera_lag_s: float
    fusion: str
    window_s: float
    window_views: int
    robot_filter: str
    robot_growth_m: float
    robot_frame_prefix: str
    max_hidden_by_robot: float
    quality_threshold: float
    out_threshold: float
    resolution: int
    best_forced: bool
    selection: str
    max_grasps: int
    detect_continuously: bool
    mesh_resolution: int
    table_check_period_s: float


def perception_parameters(values: Mapping[str, Value]) -> PerceptionParameters:
    """The parameters by name; what is not given has its default. Raises TypeError for an unknown name."""
    return PerceptionParameters(**{row.name: row.default for row in TABLE} | dict(values))  # type: ignore[arg-type]


def problem_with(values: Mapping[str, Value]) -> str:
    """Why these values cannot be used beside each other or at all, beyond types and ranges; empty when they can."""
    for name, value in values.items():
        choices = ROW_OF[name].choices
        if choices and value not in choices:
            return f"'{name}' is one of {', '.join(choices)}, not '{value}'"
    parameters = perception_parameters(values)
    if not parameters.workspace_frame:
        return "'workspace_frame' is empty: name the tf frame of the cube"
    if not parameters.cameras:
        return "'cameras' is empty: name at least one prefix of depth topics"
    if len(set(parameters.cameras)) < len(parameters.cameras):
        return f"'cameras' names one camera twice: {', '.join(parameters.cameras)}"
    if parameters.min_depth_m >= parameters.max_depth_m:
        return (
            f"'min_depth_m' ({parameters.min_depth_m:g}) must be less than 'max_depth_m' ({parameters.max_depth_m:g})"
        )
    return ""
