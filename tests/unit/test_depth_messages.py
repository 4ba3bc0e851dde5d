"""Depth images and camera infos, good and bad, to depth of a pinhole camera; no middleware runs."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from table_scene import table_view

from giga_perception.camera import PinholeCamera
from giga_perception.depth_messages import (
    DepthMessageError,
    camera_from_message,
    depth_from_message,
    depth_view_from_messages,
    is_rectified_topic,
)
from giga_perception.rectification import LensDistortion, rectified_depth

DEPTH_M = table_view().depth_m
K = [270.0, 0.0, 160.0, 0.0, 271.0, 120.0, 0.0, 0.0, 1.0]
P = [260.0, 0.0, 158.0, 0.0, 0.0, 261.0, 118.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [-0.2, 0.05, 0.002, -0.001, 0.01]
OF_K = PinholeCamera(width=320, height=240, fx=270.0, fy=271.0, cx=160.0, cy=120.0)
OF_P = PinholeCamera(width=320, height=240, fx=260.0, fy=261.0, cx=158.0, cy=118.0)
TURNED = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def image(values: NDArray[np.generic], encoding: str, padding: int = 0, big: bool = False) -> Image:
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return Image(
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=int(big),
        data=array.array("B", rows.tobytes()),
    )


def info(**fields: object) -> CameraInfo:
    return CameraInfo(**({"width": 320, "height": 240, "k": K, "distortion_model": "plumb_bob"} | fields))


@pytest.mark.parametrize("padding", [0, 2, 3, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_depth_in_both_encodings_byte_orders_and_with_padded_rows(order: str, padding: int) -> None:
    millimetres = np.array([[0, 500, 1250], [40000, 30, 65535]])
    message = image(millimetres.astype(f"{order}u2"), "16UC1", padding, order == ">")
    np.testing.assert_allclose(depth_from_message(message), millimetres / 1000.0, rtol=1e-6)
    metres = np.array([[0.5, np.nan, np.inf], [-1.0, -np.inf, 0.0], [-0.0, 12.0, 1e-30]])
    depth_m = depth_from_message(image(metres.astype(f"{order}f4"), "32FC1", padding, order == ">"))
    assert depth_m.dtype == np.float32
    np.testing.assert_array_equal(depth_m, np.float32([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 12.0, 1e-30]]))


@pytest.mark.parametrize(("kind", "encoding"), [("f4", "32FC1"), ("u2", "16UC1")])
def test_what_is_read_does_not_change_with_the_message(kind: str, encoding: str) -> None:
    message = image(np.full((4, 4), 1).astype(kind) * (1 if kind == "f4" else 1000), encoding)
    depth_m = depth_from_message(message)
    message.data[:] = array.array("B", bytes(len(message.data)))
    assert (depth_m == 1.0).all()


def test_a_compressed_image_is_read_like_the_image_it_was() -> None:
    millimetres = np.round(DEPTH_M * 1000.0).astype(np.uint16)
    stream = struct.pack("<iff", 0, 0.0, 0.0) + cv2.imencode(".png", millimetres)[1].tobytes()
    message = CompressedImage(format="16UC1; compressedDepth png", data=array.array("B", stream))
    np.testing.assert_array_equal(depth_from_message(message), depth_from_message(image(millimetres, "16UC1")))
    depth_m, camera = depth_view_from_messages(message, info(), rectified=True)
    assert camera == OF_K
    assert depth_m.shape == (240, 320)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (Image(encoding="rgb8", height=1, width=1, step=3, data=array.array("B", b"123")), "rgb8.*colour"),
        (Image(encoding="", height=1, width=1, step=4, data=array.array("B", bytes(4))), "encoding ''"),
        (Image(encoding="64FC1", height=1, width=1, step=8, data=array.array("B", bytes(8))), "64FC1"),
        (Image(encoding="32FC1"), "empty"),
        (Image(encoding="32FC1", height=5, width=0), "empty"),
        (Image(encoding="32FC1", height=2, width=2, step=8, data=array.array("B", bytes(12))), "too few"),
        (Image(encoding="32FC1", height=2, width=2, step=8, data=array.array("B", bytes(20))), "too many"),
        (Image(encoding="32FC1", height=2, width=2, step=8), "holds 0 bytes"),
        (Image(encoding="16UC1", height=1, width=2, step=2, data=array.array("B", bytes(4))), "step.*too few"),
        (Image(encoding="16UC1", height=2, width=2, step=0, data=array.array("B", bytes(8))), "step.*too few"),
        (Image(encoding="32FC1", height=2**31, width=2**31, step=2**32 - 1), "too few"),
        (image(np.full((40, 40), 600.0, "<f4"), "32FC1"), "median is 600 m.*metres"),
        (image(np.full((40, 40), 1, "<u2"), "16UC1"), "median is 0.001 m.*millimetres"),
        (image(np.full((40, 40), 600, "<u2"), "16UC1", big=True), "is_bigendian"),
        (image(DEPTH_M, "32FC1", big=True), "most of the image's readings.*is_bigendian"),
        (image((DEPTH_M * 1000).astype("<u2"), "16UC1", big=True), "most of the image's readings.*is_bigendian"),
        (Image(encoding="16UC1", height=240, width=320, step=1280, data=image(DEPTH_M, "32FC1").data), "far more"),
        (CompressedImage(format="rgb8; jpeg compressed bgr8"), "compressedDepth"),
    ],
)
def test_images_that_hold_no_depth(message: Image | CompressedImage, sentence: str) -> None:
    with pytest.raises(DepthMessageError, match=sentence):
        depth_from_message(message)


def test_an_image_without_a_reading_is_an_image() -> None:
    for values in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), np.inf), np.full((4, 4), -1.0)):
        assert not depth_from_message(image(values.astype("<f4"), "32FC1")).any()


# Camera infos.


def test_the_projection_matrix_goes_before_k_and_k_stands_in_for_it() -> None:
    assert camera_from_message(info()) == OF_K
    assert camera_from_message(info(p=P)) == OF_P


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/camera/depth/image_rect_raw", True),
        ("/camera/depth/image_rect", True),
        ("/camera/depth/image_rect_raw/compressedDepth", True),
        ("image_rect", True),
        ("/camera/depth/image_raw", False),
        ("/camera/aligned_depth_to_color/image_raw/compressedDepth", False),
        ("/rectangle/depth/image", False),
        ("/", False),
    ],
)
def test_the_topic_tells_whether_the_image_is_rectified(topic: str, rectified: bool) -> None:
    assert is_rectified_topic(topic) is rectified


def test_a_rectified_image_is_of_p_and_keeps_its_pixels_whatever_d_says() -> None:
    message = image(DEPTH_M, "32FC1")
    depth_m, camera = depth_view_from_messages(message, info(p=P, d=D), rectified=True)
    assert camera == OF_P
    np.testing.assert_array_equal(depth_m, DEPTH_M)
    # Even of a model that could not be removed here: it has been.
    other = info(p=P, d=[0.1] * 14, distortion_model="thin_prism", r=TURNED)
    assert depth_view_from_messages(message, other, rectified=True)[1] == OF_P


@pytest.mark.parametrize("d", [[], [0.0] * 5])
def test_a_raw_image_without_distortion_is_of_k(d: list[float]) -> None:
    depth_m, camera = depth_view_from_messages(image(DEPTH_M, "32FC1"), info(p=P, d=d), rectified=False)
    assert camera == OF_K
    np.testing.assert_array_equal(depth_m, DEPTH_M)


@pytest.mark.parametrize(("p", "camera"), [(P, OF_P), ([0.0] * 12, OF_K)])
def test_a_raw_image_with_distortion_is_rectified(p: list[float], camera: PinholeCamera) -> None:
    found_m, found = depth_view_from_messages(image(DEPTH_M, "32FC1"), info(p=p, d=D), rectified=False)
    assert found == camera
    expected_m = rectified_depth(DEPTH_M, OF_K, LensDistortion("plumb_bob", tuple(D)), camera)
    np.testing.assert_array_equal(found_m, expected_m)
    assert not np.array_equal(found_m, DEPTH_M)


def test_a_window_and_binning_keep_every_ray() -> None:
    roi = RegionOfInterest(x_offset=40, y_offset=20, width=200, height=180)
    fields = info(roi=roi, binning_x=2, binning_y=4)
    depth_m, camera = depth_view_from_messages(image(DEPTH_M[:45, :100], "32FC1"), fields, rectified=True)
    assert (camera.width, camera.height) == (100, 45) == depth_m.shape[::-1]
    # Pixel (10, 5) of the image is pixel (40 + 2 * 10, 20 + 4 * 5) of the sensor.
    assert (10 - camera.cx) / camera.fx == pytest.approx((60 - OF_K.cx) / OF_K.fx)
    assert (5 - camera.cy) / camera.fy == pytest.approx((40 - OF_K.cy) / OF_K.fy)
    with_distortion = info(roi=roi, binning_x=2, binning_y=4, d=D, p=P)
    assert (
        depth_view_from_messages(image(DEPTH_M[:45, :100], "32FC1"), with_distortion, rectified=False)[1].width == 100
    )


@pytest.mark.parametrize(
    ("fields", "rectified", "sentence"),
    [
        ({"k": [0.0] * 9}, True, "no calibrated camera.*focal"),
        ({"k": [0.0] * 9}, False, "no calibrated camera.*focal"),
        ({"k": [0.0, *K[1:]]}, True, "focal"),
        ({"k": [-270.0, *K[1:]]}, True, "focal"),
        ({"k": [float("nan"), *K[1:]]}, True, "fx=nan"),
        ({"k": [270.0, 0.0, float("inf"), *K[3:]]}, True, "cx=inf"),
        ({"p": [260.0, *[0.0] * 11]}, True, "focal"),
        ({"p": [float("nan")] * 12}, True, "focal"),
        ({"width": 0, "height": 0}, True, "size must be positive"),
        ({"width": 640, "height": 480}, True, "describes 640 x 480 pixels, but the image has 320 x 240"),
        ({"width": 640, "height": 480}, False, "describes 640 x 480 pixels, but the image has 320 x 240"),
        ({"binning_x": 2}, True, "describes 160 x 240 pixels, its roi and binning applied"),
        ({"binning_x": 1000}, True, "size must be positive"),
        ({"roi": RegionOfInterest(width=100, height=100)}, True, "describes 100 x 100 pixels, its roi"),
        ({"roi": RegionOfInterest(x_offset=300, width=100, height=100)}, True, "lies not within its 320 x 240"),
        ({"roi": RegionOfInterest(x_offset=3)}, True, "roi, 0 x 0 pixels at column 3"),
        (
            {"roi": RegionOfInterest(width=320, height=240, do_rectify=True), "p": P, "d": D},
            True,
            "do_rectify",
        ),
        ({"d": D}, True, "no projection matrix P"),
        ({"d": D, "distortion_model": "thin_prism"}, False, "'thin_prism' is none of.*image_rect"),
        ({"d": D, "distortion_model": ""}, False, "image_rect"),
        ({"d": D[:3]}, False, "3 coefficients"),
        ({"d": [float("nan")] * 5}, False, "not all finite"),
        ({"d": D, "r": TURNED}, False, "stereo pair.*image_rect"),
    ],
)
def test_camera_infos_that_cannot_be_used(fields: dict[str, object], rectified: bool, sentence: str) -> None:
    with pytest.raises(DepthMessageError, match=sentence):
        depth_view_from_messages(image(DEPTH_M, "32FC1"), info(**fields), rectified)


def test_no_turn_of_the_camera_is_none_however_it_is_written() -> None:
    message = image(DEPTH_M, "32FC1")
    written = ([0.0] * 9, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    images = [depth_view_from_messages(message, info(p=P, d=D, r=r), rectified=False)[0] for r in written]
    np.testing.assert_array_equal(*images)
