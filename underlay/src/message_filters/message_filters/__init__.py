"""Stand-in for `message_filters`: `Subscriber`, `TimeSynchronizer`, `ApproximateTimeSynchronizer`.

The names, signatures and behaviour of the real module for the calls that this stack makes; anything else raises.
"""

from message_filters.simple_filter import SimpleFilter, Subscriber
from message_filters.synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = [
    "ApproximateTimeSynchronizer",
    "SimpleFilter",
    "Subscriber",
    "TimeSynchronizer",
]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"message_filters here is a stand-in and has no `{name}`; it offers {', '.join(__all__)}")
