"""The parameter table declared on a node, with ranges, units and texts that `ros2 param describe` shows."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from giga_perception.perception_parameters import TABLE, PerceptionParameters, Row, perception_parameters


def declare_parameters(node: Node) -> None:
    """Declare all of `TABLE`. rclpy raises for a start value of another type or out of its range."""
    for row in TABLE:
        node.declare_parameter(row.name, row.default, _descriptor(row))


def read_parameters(node: Node) -> PerceptionParameters:
    """The values as they are now."""
    return perception_parameters({row.name: node.get_parameter(row.name).value for row in TABLE})


def _descriptor(row: Row) -> ParameterDescriptor:
    unit = f" [{row.unit}]" if row.unit else ""
    when = "" if row.live else " (takes effect when the node is configured)"
    descriptor = ParameterDescriptor(description=f"{row.text}{unit}{when}")
    if row.low is not None and row.high is not None:
        if isinstance(row.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=row.low, to_value=row.high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(row.low), to_value=int(row.high), step=1)]
    return descriptor
