"""The parameter table on a node: declared with ranges, units and texts; changes taken, or refused with a reason."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from giga_perception.perception_parameters import (
    ROW_OF,
    TABLE,
    PerceptionParameters,
    Row,
    Value,
    perception_parameters,
    problem_with,
)


class NodeParameters:
    """The values of a node's parameters, always as they are now. Safe to use from several threads."""

    def __init__(self, node: Node) -> None:
        """Declare all of `TABLE` on ``node``. rclpy raises for a start value that is refused."""
        self._values: dict[str, Value] = {}
        self.current: PerceptionParameters = perception_parameters({})
        self._configured = False
        node.add_on_set_parameters_callback(self._answer)
        node.add_post_set_parameters_callback(self._take)
        for row in TABLE:
            default = list(row.default) if isinstance(row.default, tuple) else row.default
            node.declare_parameter(row.name, default, _descriptor(row))

    def hold(self, configured: bool) -> None:
        """While ``configured``, a parameter that is read at configuring keeps the value that was read."""
        self._configured = configured

    def _answer(self, changes: list[Parameter]) -> SetParametersResult:
        """Called by rclpy before it sets all of ``changes``, or none when this refuses."""
        reason = self._why_refused(_ours(changes))
        return SetParametersResult(successful=not reason, reason=reason)

    def _take(self, changes: list[Parameter]) -> None:
        """Called by rclpy when it has set them."""
        self._values |= _ours(changes)
        self.current = perception_parameters(self._values)

    def _why_refused(self, new: dict[str, Value]) -> str:
        for name, value in new.items():
            if self._configured and not ROW_OF[name].live and value != self._values[name]:
                return (
                    f"'{name}' takes effect at the next configure: deactivate and clean up the node by its "
                    "change_state service, set it, then configure and activate"
                )
        cameras = new.get("cameras")
        for prefix in cameras if isinstance(cameras, tuple) else ():
            try:
                validate_topic_name(f"{prefix}/depth")
            except InvalidTopicNameException as error:
                return f"'cameras' has '{prefix}', which begins no topic's name: {str(error).splitlines()[0]}"
        return problem_with(self._values | new)


def _ours(changes: list[Parameter]) -> dict[str, Value]:
    """The values of those that are in the table; rclpy has parameters of its own."""
    values = {change.name: change.value for change in changes if change.name in ROW_OF}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _descriptor(row: Row) -> ParameterDescriptor:
    unit = f" [{row.unit}]" if row.unit else ""
    when = "" if row.live else " (takes effect when the node is configured)"
    descriptor = ParameterDescriptor(description=f"{row.text}{unit}{when}")
    if row.choices:
        descriptor.additional_constraints = f"one of: {', '.join(row.choices)}"
    if row.low is not None and row.high is not None:
        if isinstance(row.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=row.low, to_value=row.high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(row.low), to_value=int(row.high), step=1)]
    return descriptor
