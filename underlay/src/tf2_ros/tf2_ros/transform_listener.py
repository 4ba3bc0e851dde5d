"""`TransformListener`: fills a buffer from /tf and /tf_static."""

from __future__ import annotations

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

DEFAULT_TF_TOPIC = "/tf"
DEFAULT_STATIC_TF_TOPIC = "/tf_static"


class TransformListener:
    """Subscribes with `node`; the node's own executor delivers the transforms."""

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        if spin_thread:
            raise NotImplementedError(
                "TransformListener(spin_thread=True) is not in this stand-in of tf2_ros: spin the node in an executor"
            )
        self.buffer = buffer
        self.node = node
        buffer.clear_on_jump_back(node.get_clock())
        # Reentrant, so that transforms come in while another callback waits for them.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage,
            DEFAULT_TF_TOPIC,
            self.callback,
            qos or _profile(DurabilityPolicy.VOLATILE),
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            DEFAULT_STATIC_TF_TOPIC,
            self.static_callback,
            static_qos or _profile(DurabilityPolicy.TRANSIENT_LOCAL),
            callback_group=self.group,
        )

    def callback(self, data: TFMessage) -> None:
        """Keep the moving transforms of one message."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: TFMessage) -> None:
        """Keep the static transforms of one message."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        """Unsubscribe."""
        self.buffer.stop_clearing()
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)


def _profile(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)
