"""tf2_ros' listener and broadcasters over the real middleware."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

import tf2_ros


@pytest.fixture
def graph(ros_domain: int) -> Iterator[tuple[Node, Node]]:
    """Two nodes, spun in a thread; the second one runs on simulated time."""
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    sim_time = [Parameter("use_sim_time", value=True)]
    nodes = (
        Node("talker", context=context),
        Node("listener", context=context, parameter_overrides=sim_time),
    )
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield nodes
    executor.shutdown()
    thread.join()
    # At once, not when they are collected: their endpoints would be counted by whoever uses the domain next.
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def transform(parent: str, child: str, stamp_s: float, x: float) -> TransformStamped:
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(nanoseconds=round(stamp_s * 1e9)).to_msg()
    message.transform.translation.x = x
    return message


def test_a_late_listener_gets_every_static_transform(graph, wait_for) -> None:
    talker, listener = graph
    broadcaster = tf2_ros.StaticTransformBroadcaster(talker)
    broadcaster.sendTransform(transform("base", "table", 0.0, 1.0))
    broadcaster.sendTransform([transform("base", "camera", 0.0, 2.0), transform("base", "table", 0.0, 3.0)])
    buffer = tf2_ros.Buffer()
    tf2_ros.TransformListener(buffer, listener)
    wait_for(
        lambda: buffer.can_transform("table", "camera", Time()),
        10.0,
        "both static transforms",
    )
    assert buffer.lookup_transform("base", "table", Time()).transform.translation.x == 3.0


def test_moving_transforms_and_a_clock_set_back(graph, wait_for) -> None:
    talker, listener = graph
    buffer = tf2_ros.Buffer()
    tf2_ros.TransformListener(buffer, listener)
    broadcaster = tf2_ros.TransformBroadcaster(talker)
    clock = talker.create_publisher(Clock, "/clock", 10)
    wait_for(
        lambda: broadcaster.pub_tf.get_subscription_count() == 1,
        10.0,
        "the listener to subscribe to /tf",
    )

    def tick(seconds: float) -> bool:
        stamp = Time(nanoseconds=round(seconds * 1e9)).to_msg()
        clock.publish(Clock(clock=stamp))
        return listener.get_clock().now().to_msg() == stamp

    wait_for(lambda: tick(100.0), 10.0, "the clock to reach the listener")
    broadcaster.sendTransform([transform("base", "arm", 99.0, 0.0), transform("base", "arm", 100.0, 1.0)])
    half = Time(nanoseconds=99_500_000_000)
    wait_for(lambda: buffer.can_transform("base", "arm", half), 10.0, "the moving transforms")
    assert buffer.lookup_transform("base", "arm", half).transform.translation.x == pytest.approx(0.5)

    wait_for(lambda: tick(1.0), 10.0, "the clock to be set back")
    wait_for(
        lambda: not buffer.can_transform("base", "arm", Time()),
        10.0,
        "the buffer to forget the old time",
    )
