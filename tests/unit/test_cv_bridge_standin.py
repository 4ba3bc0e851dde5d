"""Image messages from and to arrays."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import Image

from cv_bridge import CvBridge, CvBridgeError

BRIDGE = CvBridge()


@pytest.mark.parametrize(
    ("encoding", "dtype", "shape"),
    [
        ("16UC1", np.uint16, (3, 5)),
        ("32FC1", np.float32, (3, 5)),
        ("mono8", np.uint8, (3, 5)),
        ("rgb8", np.uint8, (3, 5, 3)),
        ("bgr8", np.uint8, (3, 5, 3)),
    ],
)
def test_there_and_back(encoding: str, dtype: type, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 255, shape).astype(dtype)
    message = BRIDGE.cv2_to_imgmsg(image, encoding)
    assert (message.height, message.width, message.encoding) == (3, 5, encoding)
    assert message.step == image.strides[0]
    back = BRIDGE.imgmsg_to_cv2(message)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


def test_passthrough_names_the_encoding() -> None:
    assert BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.float32)).encoding == "32FC1"
    assert BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8)).encoding == "8UC3"


def test_padded_rows_and_other_byte_order() -> None:
    image = np.arange(6, dtype=np.uint16).reshape(2, 3)
    rows = np.zeros((2, 7), np.uint8)  # six bytes of pixels and one of padding, an odd number
    rows[:, :6] = image.astype(">u2").view(np.uint8)
    message = Image(height=2, width=3, encoding="16UC1", is_bigendian=1, step=7)
    message.data = array.array("B", rows.tobytes())
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), image)


def test_a_slice_of_an_image_goes_out_whole() -> None:
    image = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image)), image)


def test_colours_are_swapped() -> None:
    message = BRIDGE.cv2_to_imgmsg(np.array([[[1, 2, 3]]], np.uint8), "rgb8")
    assert BRIDGE.imgmsg_to_cv2(message, "bgr8").tolist() == [[[3, 2, 1]]]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CvBridgeError, match="incompatible type"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.float64), "32FC1")
    with pytest.raises(CvBridgeError, match="does not convert"):
        BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.float32)), "16UC1")
    with pytest.raises(CvBridgeError, match="too little"):
        BRIDGE.imgmsg_to_cv2(Image(height=2, width=2, encoding="32FC1", step=8))
    with pytest.raises(CvBridgeError, match="is not one of"):
        BRIDGE.imgmsg_to_cv2(Image(encoding="yuv422"))
