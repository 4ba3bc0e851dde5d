"""`StaticTransformBroadcaster`: transforms that hold for ever, to /tf_static."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Sends all its transforms again with every call, latched, so that a late subscriber gets every one."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        profile = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            history=HistoryPolicy.KEEP_LAST,
        )
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos or profile)
        self._by_child: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several; one of the same child frame replaces what was sent before."""
        several = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._by_child.update((each.child_frame_id, each) for each in several)
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
