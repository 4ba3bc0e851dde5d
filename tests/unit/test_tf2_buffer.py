"""The transform buffer: tf2's rules for times, chains and errors. Needs rclpy's types, no running ROS."""

from __future__ import annotations

import math

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from scipy.spatial.transform import Rotation

import tf2_ros


def transform(
    parent: str,
    child: str,
    stamp_s: float,
    x: float = 0.0,
    yaw_deg: float = 0.0,
    z: float = 0.0,
) -> TransformStamped:
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(nanoseconds=round(stamp_s * 1e9)).to_msg()
    message.transform.translation.x, message.transform.translation.z = x, z
    r = message.transform.rotation
    r.x, r.y, r.z, r.w = map(float, Rotation.from_euler("z", yaw_deg, degrees=True).as_quat())
    return message


def at(seconds: float) -> Time:
    return Time(nanoseconds=round(seconds * 1e9))


def yaw_deg(message: TransformStamped) -> float:
    r = message.transform.rotation
    return float(Rotation.from_quat([r.x, r.y, r.z, r.w]).as_euler("xyz", degrees=True)[2])


@pytest.fixture
def buffer() -> tf2_ros.Buffer:
    """base -> arm moves over 1..2 s; arm -> hand moves over 1..3 s; base -> table is static."""
    buffer = tf2_ros.Buffer()
    buffer.set_transform(transform("base", "arm", 1.0, x=1.0, yaw_deg=0.0), "test")
    buffer.set_transform(transform("base", "arm", 2.0, x=2.0, yaw_deg=90.0), "test")
    buffer.set_transform(transform("arm", "hand", 1.0, x=0.1), "test")
    buffer.set_transform(transform("arm", "hand", 3.0, x=0.3), "test")
    buffer.set_transform_static(transform("base", "table", 0.0, x=5.0), "test")
    return buffer


def test_maps_coordinates_of_source_to_target(buffer: tf2_ros.Buffer) -> None:
    buffer.set_transform(transform("base", "turned", 1.0, x=1.0, yaw_deg=90.0), "test")
    answer = buffer.lookup_transform("base", "turned", at(1.0))
    assert (answer.header.frame_id, answer.child_frame_id) == ("base", "turned")
    assert answer.transform.translation.x == pytest.approx(1.0)
    back = buffer.lookup_transform("turned", "base", at(1.0))
    assert back.transform.translation.x == pytest.approx(0.0)
    assert back.transform.translation.y == pytest.approx(1.0)
    assert yaw_deg(back) == pytest.approx(-90.0)


def test_interpolates_between_two_stamps(buffer: tf2_ros.Buffer) -> None:
    answer = buffer.lookup_transform("base", "arm", at(1.25))
    assert answer.transform.translation.x == pytest.approx(1.25)
    assert yaw_deg(answer) == pytest.approx(22.5)
    assert answer.header.stamp == at(1.25).to_msg()


def test_time_zero_is_the_latest_that_all_have(buffer: tf2_ros.Buffer) -> None:
    answer = buffer.lookup_transform("base", "hand", Time())
    assert answer.header.stamp == at(2.0).to_msg()  # base -> arm ends at 2 s
    assert answer.transform.translation.x == pytest.approx(2.0)
    assert answer.transform.translation.y == pytest.approx(0.2)  # 0.2 along an arm turned by 90 degrees


def test_crosses_from_branch_to_branch(buffer: tf2_ros.Buffer) -> None:
    answer = buffer.lookup_transform("table", "arm", at(2.0))
    assert answer.transform.translation.x == pytest.approx(-3.0)


def test_statics_hold_at_every_time_and_stay_after_clear(
    buffer: tf2_ros.Buffer,
) -> None:
    assert buffer.lookup_transform("base", "table", at(1e6)).transform.translation.x == 5.0
    buffer.clear()
    assert buffer.can_transform("base", "table", at(7.0))
    assert not buffer.can_transform("base", "arm", Time())


@pytest.mark.parametrize(("seconds", "words"), [(2.5, "into the future"), (0.5, "into the past")])
def test_never_extrapolates(buffer: tf2_ros.Buffer, seconds: float, words: str) -> None:
    with pytest.raises(tf2_ros.ExtrapolationException, match=words) as caught:
        buffer.lookup_transform("base", "arm", at(seconds))
    assert "from frame [arm] to frame [base]" in str(caught.value)


def test_a_single_stamp_serves_only_itself(buffer: tf2_ros.Buffer) -> None:
    buffer.set_transform(transform("base", "once", 1.0, x=1.0), "test")
    assert buffer.can_transform("base", "once", at(1.0))
    with pytest.raises(
        tf2_ros.ExtrapolationException,
        match=r"but only time 1\.000000000 is in the buffer",
    ):
        buffer.lookup_transform("base", "once", at(1.1))


def test_an_error_above_the_shared_ancestor_does_not_matter(
    buffer: tf2_ros.Buffer,
) -> None:
    # At 2.5 s base -> arm is unknown, arm -> hand is known.
    assert buffer.lookup_transform("arm", "hand", at(2.5)).transform.translation.x == pytest.approx(0.25)


def test_the_cache_forgets_after_ten_seconds(buffer: tf2_ros.Buffer) -> None:
    for second in range(3, 14):
        buffer.set_transform(transform("base", "arm", float(second), x=float(second)), "test")
    assert buffer.lookup_transform("base", "arm", at(3.0)).transform.translation.x == 3.0
    with pytest.raises(tf2_ros.ExtrapolationException, match="into the past"):
        buffer.lookup_transform("base", "arm", at(2.9))
    buffer.set_transform(transform("base", "arm", 2.0, x=99.0), "test")  # too old: ignored
    assert not buffer.can_transform("base", "arm", at(2.0))


def test_late_and_repeated_stamps(buffer: tf2_ros.Buffer) -> None:
    buffer.set_transform(transform("base", "arm", 1.5, x=7.0), "test")  # late: sorted in
    assert buffer.lookup_transform("base", "arm", at(1.5)).transform.translation.x == 7.0
    buffer.set_transform(transform("base", "arm", 1.5, x=8.0), "test")  # repeated: the first stays
    assert buffer.lookup_transform("base", "arm", at(1.5)).transform.translation.x == 7.0


def test_unknown_frames_and_unconnected_trees(buffer: tf2_ros.Buffer) -> None:
    buffer.set_transform_static(transform("elsewhere", "thing", 0.0), "test")
    with pytest.raises(
        tf2_ros.LookupException,
        match='"nowhere" passed to lookupTransform argument source_frame',
    ):
        buffer.lookup_transform("base", "nowhere", Time())
    with pytest.raises(tf2_ros.ConnectivityException, match="not part of the same tree"):
        buffer.lookup_transform("base", "thing", Time())
    with pytest.raises(tf2_ros.InvalidArgumentException, match="start with a '/'"):
        buffer.lookup_transform("/base", "arm", Time())
    assert issubclass(tf2_ros.LookupException, tf2_ros.TransformException)


def test_refuses_what_is_no_transform(buffer: tf2_ros.Buffer, caplog: pytest.LogCaptureFixture) -> None:
    lame = transform("base", "lame", 1.0)
    lame.transform.rotation.w = 3.0
    buffer.set_transform(lame, "test")
    buffer.set_transform(transform("base", "lost", 1.0, x=math.nan), "test")
    buffer.set_transform(transform("base", "base", 1.0), "test")
    assert not buffer.can_transform("base", "lame", Time())
    assert not buffer.can_transform("base", "lost", Time())
    assert len(caplog.records) == 3


def test_timeout_waits_and_then_says_why(buffer: tf2_ros.Buffer) -> None:
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("base", "arm", at(9.0), timeout=Duration(seconds=0.05))
    able, why = buffer.can_transform("base", "arm", at(9.0), Duration(seconds=0.05), return_debug_tuple=True)
    assert not able
    assert "future" in why


def test_full_lookup_goes_through_a_fixed_frame(buffer: tf2_ros.Buffer) -> None:
    answer = buffer.lookup_transform_full("arm", at(1.0), "arm", at(2.0), "base")
    assert answer.transform.translation.x == pytest.approx(1.0)  # where the arm came to, seen from where it was
    assert yaw_deg(answer) == pytest.approx(90.0)


def test_is_loud_about_what_it_lacks(buffer: tf2_ros.Buffer) -> None:
    with pytest.raises(ImportError, match="stand-in"):
        tf2_ros.BufferClient  # noqa: B018
    with pytest.raises(AttributeError, match="stand-in"):
        buffer.transform  # noqa: B018
