"""The executor's parameters as ROS parameters: declared with range and text, read as one value."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from giga_grasping.executor_parameters import TABLE, ExecutorParameters, executor_parameters


def declare_parameters(node: Node) -> None:
    """Declare every row of the table; ROS itself refuses what lies out of range."""
    defaults = ExecutorParameters()
    for row in TABLE:
        default = getattr(defaults, row.name)
        text = f"{row.text} [{row.unit}]" if row.unit else row.text
        descriptor = ParameterDescriptor(description=text)
        if row.low is not None and row.high is not None and isinstance(default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(row.low), to_value=int(row.high))]
        elif row.low is not None and row.high is not None:
            limits = FloatingPointRange(from_value=float(row.low), to_value=float(row.high))
            descriptor.floating_point_range = [limits]
        node.declare_parameter(row.name, default, descriptor)


def read_parameters(node: Node) -> ExecutorParameters:
    """The parameters as they are set now."""
    return executor_parameters({row.name: node.get_parameter(row.name).value for row in TABLE})
