"""The two time synchronizers: messages of several inputs whose stamps agree, exactly or within a slop."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

from message_filters.simple_filter import SimpleFilter


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message of each input when all carry the same header stamp."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        if queue_size < 1:
            raise ValueError(f"queue_size is {queue_size}: a synchronizer must keep at least one message of each input")
        self.queue_size = queue_size
        # For each input, what has not been matched yet: stamp in nanoseconds -> message.
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.lock = threading.Lock()
        for index, source in enumerate(fs):
            source.registerCallback(self.add, index)

    def add(self, msg: Any, index: int) -> None:
        """Take one message of input `index`."""
        stamp = msg.header.stamp
        stamp_ns = stamp.sec * 10**9 + stamp.nanosec
        with self.lock:
            queue = self.queues[index]
            queue[stamp_ns] = msg
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            match = self._match(stamp_ns, index)
            if match is None:
                return
            messages = [queue.pop(at_ns) for queue, at_ns in zip(self.queues, match, strict=True)]
        # Outside the lock: the callback may take as long as a detection.
        self.signalMessage(*messages)

    def _match(self, stamp_ns: int, index: int) -> list[int] | None:
        """The stamps, one for each input, that belong to the message that has just come in; None when some lack."""
        return [stamp_ns] * len(self.queues) if all(stamp_ns in queue for queue in self.queues) else None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message of each input when all header stamps lie within `slop` seconds of one another."""

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
        sync_arrival_time: bool = False,
    ) -> None:
        if allow_headerless or sync_arrival_time:
            raise NotImplementedError(
                "this stand-in of message_filters synchronizes by header stamp only: "
                "allow_headerless and sync_arrival_time must stay False"
            )
        super().__init__(fs, queue_size)
        self.slop_ns = round(slop * 1e9)

    def _match(self, stamp_ns: int, index: int) -> list[int] | None:
        # Every input's stamps near the new message, nearest first, so the first combination that fits is the best.
        near = [
            sorted(
                (at_ns for at_ns in queue if abs(at_ns - stamp_ns) <= self.slop_ns),
                key=lambda at_ns: abs(at_ns - stamp_ns),
            )
            for queue in self.queues
        ]
        near[index] = [stamp_ns] if stamp_ns in self.queues[index] else []
        for combination in itertools.product(*near):
            if max(combination) - min(combination) < self.slop_ns:
                return list(combination)
        return None
