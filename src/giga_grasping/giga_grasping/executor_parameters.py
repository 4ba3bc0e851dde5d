"""What can be set about the executor, in one table: default, range, unit, text. Knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ExecutorParameters:
    """The executor's parameters; `TABLE` says what each means."""

    autostart: bool = True
    robot_file: str = ""
    confirm: bool = False
    dry_run: bool = False
    max_candidates: int = 10
    max_consecutive_failures: int = 2
    min_quality: float = 0.0
    failed_grasp_distance_m: float = 0.02
    failed_grasp_angle_deg: float = 30.0
    min_held_width_m: float = 0.004
    grasp_on_approach_contact: bool = False
    approach_distance_m: float = 0.0
    retreat_distance_m: float = 0.0
    place_clearance_m: float = 0.10
    velocity_scaling: float = 0.0
    acceleration_scaling: float = 0.0
    carrying_scaling: float = 0.3
    reconstruct_scene: bool = True
    scene_resolution: int = 0
    scene_max_triangles: int = 4000
    start_tolerance_rad: float = 0.01
    contact_deflection_rad: float = 0.15
    home_tolerance_rad: float = 0.02
    detection_timeout_s: float = 60.0
    planning_timeout_s: float = 60.0
    motion_timeout_factor: float = 2.0
    motion_timeout_margin_s: float = 5.0
    gripper_timeout_s: float = 15.0
    confirm_timeout_s: float = 120.0


@dataclass(frozen=True)
class Row:
    """Range (both ends allowed; None for text and switches), unit and meaning of one parameter."""

    name: str
    low: float | None
    high: float | None
    unit: str
    text: str


TABLE = (
    Row("autostart", None, None, "", "configure and activate at the start, without a lifecycle manager"),
    Row("robot_file", None, None, "", "path of the robot profile; empty = config/robots/panda.yaml"),
    Row("confirm", None, None, "", "wait for a call of ~/confirm before each motion of arm or gripper"),
    Row("dry_run", None, None, "", "plan and show, but move nothing"),
    Row("max_candidates", 1, 1000, "", "at most this many grasps, best first, go to the planner for one attempt"),
    Row("max_consecutive_failures", 1, 100, "", "clear_table ends after this many failed attempts in a row"),
    Row("min_quality", 0, 1, "", "grasps below this quality are left alone; 0 = perception's own threshold"),
    Row("failed_grasp_distance_m", 0, 0.3, "m", "a grasp this near to a failed one is tried last in the same clear"),
    Row("failed_grasp_angle_deg", 0, 90, "deg", "and turned by less than this against it"),
    Row("min_held_width_m", 0.0005, 0.05, "m", "the fingers hold something when they stay further apart than this"),
    Row("grasp_on_approach_contact", None, None, "", "close where contact ends the approach"),
    Row("approach_distance_m", 0, 0.3, "m", "straight way to the grasp; 0 = the planner's own"),
    Row("retreat_distance_m", 0, 0.3, "m", "straight way after it; 0 = the planner's own"),
    Row("place_clearance_m", 0.01, 0.3, "m", "a place pose is approached from this far back along the approach axis"),
    Row("velocity_scaling", 0, 1, "", "fraction of the joints' velocity limits; 0 = the planner's own"),
    Row("acceleration_scaling", 0, 1, "", "fraction of the joints' acceleration limits; 0 = the planner's own"),
    Row("carrying_scaling", 0, 1, "", "fraction of both limits while an object is carried; 0 = the planner's own"),
    Row("reconstruct_scene", None, None, "", "plan execute_grasp against perception's reconstruction"),
    Row("scene_resolution", 0, 200, "", "points a side at which the scene is reconstructed; 0 = perception's own"),
    Row("scene_max_triangles", 100, 4000, "", "the scene is decimated to at most this many triangles"),
    Row("start_tolerance_rad", 0.0001, 0.1, "rad", "a motion is sent only when every joint is this near to its start"),
    Row("contact_deflection_rad", 0, 0.5, "rad", "an arm this near to where it is held is pushed off by a contact"),
    Row("home_tolerance_rad", 0.001, 0.2, "rad", "the arm counts as being home within this"),
    Row("detection_timeout_s", 0.1, 600, "s", "wall time for an answer of perception"),
    Row("planning_timeout_s", 0.1, 600, "s", "wall time for an answer of the planner"),
    Row("motion_timeout_factor", 1, 100, "", "seconds of the node's clock allowed for each planned second of a motion"),
    Row("motion_timeout_margin_s", 0.1, 600, "s", "and on top of that"),
    Row("gripper_timeout_s", 0.1, 600, "s", "time on the node's clock for a gripper action"),
    Row("confirm_timeout_s", 1, 86400, "s", "wall time to wait for ~/confirm"),
)


def executor_parameters(values: Mapping[str, bool | int | float | str]) -> ExecutorParameters:
    """The parameters by name; what is not given keeps its default.

    Raises:
        ValueError: a value out of its range; the sentence names it.
    """
    known = {field.name for field in fields(ExecutorParameters)}
    if unknown := set(values) - known:
        raise ValueError(f"the executor has no parameter named {', '.join(sorted(unknown))}")
    for row in TABLE:
        if row.low is None or row.high is None or row.name not in values:
            continue
        value = values[row.name]
        if not row.low <= float(value) <= row.high:
            raise ValueError(f"{row.name} is {value}; it lies between {row.low:g} and {row.high:g} {row.unit}".rstrip())
    return ExecutorParameters(**values)  # type: ignore[arg-type]
