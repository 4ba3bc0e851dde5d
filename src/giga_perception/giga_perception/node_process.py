"""A node as a process: spun until SIGINT or SIGTERM, then taken down in order while the middleware still stands.

rclpy's own signal handler ends the context first, under the feet of threads that still publish.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import rclpy
from rclpy.exceptions import InvalidHandle, InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

AnyNode = TypeVar("AnyNode", bound=Node)

_CALLBACKS_END_WITHIN_S = 5.0
_POLL_S = 0.5


def run_node(
    make_node: Callable[[], AnyNode], threads: int, start: Callable[[AnyNode], None], stop: Callable[[AnyNode], None]
) -> int:
    """Run a node with this many executor threads; gives the process's exit status.

    ``start`` is called before anything is delivered, ``stop`` when the end is asked for: it must end all waiting. A
    parameter value that is refused at the start is one line on stderr.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make_node()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"parameter refused: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=threads)
    executor.add_node(node)
    start(node)
    spinning = threading.Thread(target=_spin_on, args=(executor,), name="executor", daemon=True)
    spinning.start()
    while spinning.is_alive() and not stopping.wait(_POLL_S):
        pass
    ended_by_itself = not stopping.is_set()
    stop(node)
    executor.shutdown(timeout_sec=_CALLBACKS_END_WITHIN_S)
    spinning.join(_CALLBACKS_END_WITHIN_S)
    # `shutdown` waits for callbacks that run, not for those its pool has yet to begin: they would find no node. Jazzy's
    # rclpy has no public way to wait for the pool.
    executor._executor.shutdown(wait=True)
    node.destroy_node()
    rclpy.try_shutdown()
    return 1 if ended_by_itself else 0


def _spin_on(executor: Executor) -> None:
    """Spin until the executor is shut down, through what rclpy raises when another thread destroys a subscription.

    The executor may be about to wait for it, or to take a message of it. There is nothing to be done then: the next
    round knows it no more.
    """
    while True:
        try:
            executor.spin()
            return
        except InvalidHandle:
            continue
