"""`SimpleFilter`: what passes messages on to callbacks; `Subscriber`: the one that begins a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node


class SimpleFilter:
    """A source of messages that callbacks can be registered with."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., object], *args: Any) -> int:
        """Call `cb(*messages, *args)` for every message or tuple of messages; returns the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Pass a message, or a tuple of synchronized ones, to every callback."""
        for callback, args in self.callbacks.values():
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter: `Subscriber(node, Type, topic, qos_profile=..., callback_group=...)`."""

    def __init__(
        self,
        node: Node,
        msg_type: type,
        topic: str,
        qos_profile: Any = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(msg_type, topic, self.callback, qos_profile, **kwargs)

    def callback(self, msg: Any) -> None:
        """Deliver one message."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """The topic's name as given."""
        return self.topic
