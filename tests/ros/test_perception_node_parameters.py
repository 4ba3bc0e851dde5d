"""Every parameter of perception_node's table: declared as it says, changed where safe, refused with a reason."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.msg import Transition
from perception_bench import Bench, assert_ended_well, start_node
from rcl_interfaces.msg import ParameterType
from table_scene import made_model, table_view

from giga_perception.perception_parameters import TABLE, Row
from giga_perception.weights import save_model

pytestmark = pytest.mark.ros

TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple: ParameterType.PARAMETER_STRING_ARRAY,
}
rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


@pytest.fixture(scope="module")
def ready(ros_domain, start_process, tmp_path_factory):
    model_file = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(model_file, made_model(), {"name": "made"})
    process = start_node(start_process, model_file)
    bench = Bench()
    bench.place_cell()
    answer = bench.detect_in(table_view().depth_m)
    assert answer.success, answer.message
    yield bench
    bench.close()
    assert_ended_well(process)


def other_value(row: Row) -> object:
    """A value that the row allows and that is not its default."""
    if row.choices:
        return next(choice for choice in row.choices if choice != row.default)
    if isinstance(row.default, bool):
        return not row.default
    if isinstance(row.default, tuple):
        return ["another_camera"]
    if isinstance(row.default, str):
        return "another"
    return row.high if row.default != row.high else row.low


def value_of(bench: Bench, row: Row) -> object:
    value = bench.call(bench.get_parameters, names=[row.name]).values[0]
    assert value.type == TYPES[type(row.default)]
    field = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string_array"}[type(row.default)]
    return getattr(value, f"{field}_value")


@rows
def test_it_is_declared_with_its_text_unit_and_range(ready, row):
    descriptor = ready.call(ready.describe, names=[row.name]).descriptors[0]
    assert descriptor.type == TYPES[type(row.default)]
    assert descriptor.description.startswith(row.text)
    assert ("takes effect when the node is configured" in descriptor.description) == (not row.live)
    if row.unit:
        assert f"[{row.unit}]" in descriptor.description
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    assert [(each.from_value, each.to_value) for each in ranges] == ([] if row.low is None else [(row.low, row.high)])
    assert all(choice in descriptor.additional_constraints for choice in row.choices)


@rows
def test_an_active_node_takes_it_when_live_and_says_when_it_would_otherwise(ready, row):
    before = value_of(ready, row)
    before = list(before) if isinstance(row.default, tuple) else before
    reasons = ready.set(**{row.name: other_value(row)})
    if row.live:
        assert not reasons
        assert value_of(ready, row) == other_value(row)
        assert not ready.set(**{row.name: before})
    else:
        assert len(reasons) == 1
        assert f"'{row.name}' takes effect at the next configure" in reasons[0]
        assert value_of(ready, row) == before
        assert not ready.set(**{row.name: before}), "what changes nothing is no reason to refuse"


@rows
def test_what_the_table_does_not_allow_is_refused_with_a_reason(ready, row):
    wrong = {bool: "yes", int: "many", float: "much", str: 7, tuple: "camera"}[type(row.default)]
    bad = [wrong]
    if row.choices:
        bad.append("nonsense")
    if row.high is not None:
        step = 1 if isinstance(row.default, int) else 0.5
        bad += [row.high + step, row.low - step]
    before = value_of(ready, row)
    for value in bad:
        reasons = ready.set(**{row.name: value})
        assert len(reasons) == 1, value
        assert reasons[0], value
    assert value_of(ready, row) == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cameras": ["left", "left"]}, "twice"),
        ({"cameras": ["no camera"]}, "begins no topic's name"),
        ({"workspace_frame": ""}, "empty"),
        ({"min_depth_m": 0.5, "max_depth_m": 0.4}, "must be less than"),
    ],
)
def test_values_that_make_no_sense_are_refused(ready, values, words):
    ready.change(Transition.TRANSITION_DEACTIVATE)
    ready.change(Transition.TRANSITION_CLEANUP)
    try:
        reasons = ready.set(**values)
        assert len(reasons) == 1
        assert words in reasons[0]
    finally:
        assert not ready.set(min_depth_m=0.0, max_depth_m=2.0)
        ready.change(Transition.TRANSITION_CONFIGURE)
        ready.change(Transition.TRANSITION_ACTIVATE)


def test_what_is_changed_counts_from_the_next_request_on(ready):
    depth_m = table_view().depth_m
    first = ready.detect_in(depth_m)
    try:
        assert not ready.set(quality_threshold=0.45, max_grasps=2)
        strict = ready.detect_in(depth_m)
        assert strict.grasps.report.quality_threshold == 0.45
        assert len(strict.grasps.grasps) == 2
        assert len(ready.detect_in(depth_m, max_grasps=1).grasps.grasps) == 1
        assert not ready.set(quality_threshold=0.01, max_grasps=0, selection="highest")
        heights = [grasp.pose.position.z for grasp in ready.detect_in(depth_m).grasps.grasps]
        qualities = [grasp.quality for grasp in ready.detect_in(depth_m).grasps.grasps]
        assert len(heights) == len(first.grasps.grasps)
        assert qualities != sorted(qualities, reverse=True)
        assert not ready.set(resolution=60, out_threshold=0.1, selection="best")
        finer = ready.detect_in(depth_m)
        assert finer.grasps.report.centres_near_surface > 2 * first.grasps.report.centres_near_surface
    finally:
        assert not ready.set(quality_threshold=0.01, max_grasps=0, selection="best", resolution=40, out_threshold=0.5)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("quality_threshold:=1.5", "quality_threshold"),
        ("fusion:=sometimes", "'fusion' is one of newest, window"),
        ("resolution:=forty", "resolution"),
    ],
)
def test_a_start_with_a_wrong_value_ends_with_one_line(ros_domain, argument, words):
    command = [sys.executable, "-m", "giga_perception.perception_node", "--ros-args", "-p", argument]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120.0)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert words in ended.stderr
