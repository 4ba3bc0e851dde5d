"""What nobody foresaw, told where callbacks end: rclpy swallows it in a transition, and dies of it elsewhere."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node


def told(node: Node, during: str, error: Exception) -> str:
    """Log the error with its traceback; gives the sentence for whoever waits for an answer."""
    node.get_logger().error(f"error during {during}:\n{''.join(traceback.format_exception(error))}")
    return f"perception_node failed during {during} ({type(error).__name__}: {error}): its log has the details"


def telling_transition(
    transition: Callable[[Any, LifecycleState], TransitionCallbackReturn],
) -> Callable[[Any, LifecycleState], TransitionCallbackReturn]:
    """A transition of a node that logs what it raises, calls the node's ``release(why)``, and ends unconfigured."""

    def run(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:  # noqa: BLE001 (rclpy would drop it without a word)
            node.release(told(node, transition.__name__, error))
            return TransitionCallbackReturn.ERROR

    return run
