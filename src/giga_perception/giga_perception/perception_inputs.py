"""All that an active perception_node listens to: cameras, tf, the robot's description, and jumps of the clock."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.robot_topics import RobotTopics
from giga_perception.scene_source import SceneSource
from giga_perception.stamped_transforms import StampedTransforms

# A simulation that is reset, or a recording that begins again, sets the clock back; any step back counts.
_SET_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)


class PerceptionInputs:
    """Made when the node becomes active, closed when it no longer is."""

    def __init__(
        self,
        node: Node,
        group: CallbackGroup,
        parameters: Callable[[], PerceptionParameters],
        on_frame: Callable[[], None],
    ) -> None:
        """Subscribe with ``node``; ``on_frame`` is called after each image, in the image's thread."""
        settings = parameters()
        self.transforms = StampedTransforms(node)
        self.robot = RobotTopics(node, group, self.transforms, settings.robot_growth_m, settings.robot_frame_prefix)
        self.source = SceneSource(node, group, parameters, self.transforms, self.robot, on_frame)
        self._jumps = node.get_clock().create_jump_callback(_SET_BACK, post_callback=lambda _: self._forget())

    def close(self) -> None:
        """Stop listening, and end all waiting."""
        self._jumps.unregister()
        self.source.close()
        self.robot.close()
        self.transforms.close()

    def _forget(self) -> None:
        # The stamps of all that was seen now lie in the future, or will come a second time.
        self.transforms.forget()
        self.source.forget()
