"""Removing lens distortion from depth, against rays computed pixel by pixel, and what cannot be removed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from giga_perception.camera import PinholeCamera
from giga_perception.depth_message_error import DepthMessageError
from giga_perception.rectification import LensDistortion, rectified_depth

RAW = PinholeCamera(width=160, height=120, fx=130.0, fy=128.0, cx=81.5, cy=58.0)
RECTIFIED = PinholeCamera(width=160, height=120, fx=120.0, fy=122.0, cx=80.0, cy=60.0)
DISTORTIONS = {
    "plumb_bob": LensDistortion("plumb_bob", (-0.2, 0.05, 0.002, -0.001, 0.01)),
    "plumb_bob of four": LensDistortion("plumb_bob", (0.15, -0.02, -0.001, 0.003)),
    "rational_polynomial": LensDistortion("rational_polynomial", (0.4, 0.1, 1e-3, -5e-4, 0.02, 0.6, 0.15, 0.03)),
    "equidistant": LensDistortion("equidistant", (-0.02, 0.01, -0.005, 0.001)),
}


def raw_pixel(x: float, y: float, distortion: LensDistortion) -> tuple[float, float]:
    """Column and row of the raw image where the ray (x, y, 1) falls, by the models' own formulas."""
    d = distortion.coefficients
    r2 = x * x + y * y
    if distortion.model == "equidistant":
        r = math.sqrt(r2)
        theta = math.atan(r)
        theta_d = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
        factor = theta_d / r if r > 0 else 1.0
        x_d, y_d = x * factor, y * factor
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*d, *[0.0] * (8 - len(d)))
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        x_d = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        y_d = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return RAW.fx * x_d + RAW.cx, RAW.fy * y_d + RAW.cy


def numbered(camera: PinholeCamera) -> NDArray[np.float32]:
    """An image in which every pixel is another one's; none is 0."""
    return np.arange(1, camera.width * camera.height + 1, dtype=np.float32).reshape(camera.height, camera.width)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_pixel_shows_the_raw_pixel_of_its_ray(name: str) -> None:
    distortion = DISTORTIONS[name]
    image = rectified_depth(numbered(RAW), RAW, distortion, RECTIFIED)
    assert image.shape == (RECTIFIED.height, RECTIFIED.width)
    assert image.dtype == np.float32
    inside = 0
    for row in range(0, RECTIFIED.height, 7):
        for column in range(0, RECTIFIED.width, 7):
            u, v = raw_pixel((column - RECTIFIED.cx) / RECTIFIED.fx, (row - RECTIFIED.cy) / RECTIFIED.fy, distortion)
            value = image[row, column]
            if value == 0.0:
                assert not (0 <= u <= RAW.width - 1 and 0 <= v <= RAW.height - 1), (row, column)
                continue
            shown_row, shown_column = divmod(int(value) - 1, RAW.width)
            assert abs(shown_column - u) <= 0.51, (row, column)
            assert abs(shown_row - v) <= 0.51, (row, column)
            inside += 1
    assert inside > 200


def test_no_depth_is_made_up_between_two() -> None:
    depth_m = np.where(np.indices((RAW.height, RAW.width)).sum(axis=0) % 3 == 0, 0.5, 1.5).astype(np.float32)
    image = rectified_depth(depth_m, RAW, DISTORTIONS["plumb_bob"], RECTIFIED)
    assert set(np.unique(image)) <= {np.float32(0.0), np.float32(0.5), np.float32(1.5)}


def test_a_point_seen_through_the_lens_lands_where_the_pinhole_sees_it() -> None:
    distortion = DISTORTIONS["plumb_bob"]
    x, y, z = 0.11, -0.07, 0.6
    depth_m = np.zeros((RAW.height, RAW.width), dtype=np.float32)
    u, v = raw_pixel(x / z, y / z, distortion)
    depth_m[round(v) - 1 : round(v) + 2, round(u) - 1 : round(u) + 2] = z
    image = rectified_depth(depth_m, RAW, distortion, RECTIFIED)
    rows, columns = np.nonzero(image)
    assert columns.mean() == pytest.approx(RECTIFIED.fx * x / z + RECTIFIED.cx, abs=1.0)
    assert rows.mean() == pytest.approx(RECTIFIED.fy * y / z + RECTIFIED.cy, abs=1.0)
    assert image[rows, columns] == pytest.approx(z)


def test_where_the_polynomial_turns_back_nothing_is_shown() -> None:
    wide = PinholeCamera(width=400, height=400, fx=100.0, fy=100.0, cx=200.0, cy=200.0)
    strong = LensDistortion("plumb_bob", (-0.3, 0.0, 0.0, 0.0, 0.0))
    image = rectified_depth(np.ones((RAW.height, RAW.width), dtype=np.float32), RAW, strong, wide)
    # r * (1 - 0.3 r^2) grows up to r = 1 / sqrt(0.9).
    y, x = np.indices(image.shape)
    radius = np.hypot((x - 200) / 100.0, (y - 200) / 100.0)
    assert not image[radius > 1.06].any()
    assert image[radius < 0.4].all()


def test_the_maps_of_a_camera_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    calls, original = [], cv2.initUndistortRectifyMap
    monkeypatch.setattr(cv2, "initUndistortRectifyMap", lambda *a: (calls.append(1), original(*a))[1])
    own = LensDistortion("plumb_bob", (-0.123, 0.0, 0.0, 0.0))
    images = [rectified_depth(numbered(RAW), RAW, own, RECTIFIED) for _ in range(3)]
    assert len(calls) == 1
    np.testing.assert_array_equal(images[0], images[2])


@pytest.mark.parametrize(
    ("model", "coefficients", "sentence"),
    [
        ("thin_prism", (0.1,) * 12, "'thin_prism' is none of"),
        ("", (0.1,) * 5, "'' is none of"),
        ("plumb_bob", (0.1,) * 8, "8 coefficients, expected 4 or 5"),
        ("equidistant", (0.1,) * 5, "5 coefficients, expected 4"),
        ("plumb_bob", (0.1, float("nan"), 0.0, 0.0, 0.0), "not all finite"),
    ],
)
def test_distortion_that_cannot_be_removed(model: str, coefficients: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(DepthMessageError, match=sentence):
        LensDistortion(model, coefficients)


def test_distortion_that_leaves_nothing() -> None:
    away = PinholeCamera(width=20, height=20, fx=100.0, fy=100.0, cx=-900.0, cy=10.0)
    with pytest.raises(DepthMessageError, match="nothing of the image remains"):
        rectified_depth(np.ones((RAW.height, RAW.width), np.float32), RAW, DISTORTIONS["equidistant"], away)
