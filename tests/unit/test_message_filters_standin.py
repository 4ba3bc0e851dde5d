"""The synchronizers, fed by hand."""

from __future__ import annotations

import pytest
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer


def message(seconds: float, name: str = "") -> CameraInfo:
    info = CameraInfo(distortion_model=name)
    info.header.stamp = Time(nanoseconds=round(seconds * 1e9)).to_msg()
    return info


def test_exact_pairs_wait_for_each_other() -> None:
    depth, info = SimpleFilter(), SimpleFilter()
    pairs: list[tuple[CameraInfo, CameraInfo]] = []
    TimeSynchronizer([depth, info], 2).registerCallback(lambda a, b: pairs.append((a, b)))
    depth.signalMessage(message(1.0, "depth"))
    info.signalMessage(message(1.001, "info"))
    assert not pairs
    info.signalMessage(message(1.0, "info"))
    assert [(a.distortion_model, b.distortion_model) for a, b in pairs] == [("depth", "info")]
    info.signalMessage(message(1.0, "info"))  # its partner is used up
    assert len(pairs) == 1


def test_the_queue_forgets_the_oldest() -> None:
    depth, info = SimpleFilter(), SimpleFilter()
    pairs: list[object] = []
    TimeSynchronizer([depth, info], 2).registerCallback(lambda a, b: pairs.append(a.header.stamp.sec))
    for second in (1, 2, 3):
        depth.signalMessage(message(float(second)))
    for second in (1, 2, 3):
        info.signalMessage(message(float(second)))
    assert pairs == [2, 3]


def test_approximate_takes_the_nearest_within_the_slop() -> None:
    left, right = SimpleFilter(), SimpleFilter()
    pairs: list[tuple[str, str]] = []
    synchronizer = ApproximateTimeSynchronizer([left, right], 10, slop=0.1)
    synchronizer.registerCallback(lambda a, b, word: pairs.append((a.distortion_model, word)), "extra")
    left.signalMessage(message(1.00, "far"))
    left.signalMessage(message(1.06, "near"))
    right.signalMessage(message(1.2, "alone"))
    assert not pairs
    right.signalMessage(message(1.05, "right"))
    assert pairs == [("near", "extra")]


def test_refuses_what_it_lacks() -> None:
    with pytest.raises(NotImplementedError, match="header stamp only"):
        ApproximateTimeSynchronizer([], 1, 0.1, allow_headerless=True)
    with pytest.raises(ValueError, match="at least one"):
        TimeSynchronizer([], 0)
