"""The paper's depth noise: its size, what it leaves alone, and that a seed repeats it."""

from __future__ import annotations

import numpy as np

from giga_perception import add_depth_noise
from giga_perception.depth_noise import add_pixel_noise

FLAT = np.full((96, 128), 0.6, dtype=np.float32)


def test_the_same_generator_state_gives_the_same_noise() -> None:
    first = add_depth_noise(FLAT, np.random.default_rng(7))
    np.testing.assert_array_equal(first, add_depth_noise(FLAT, np.random.default_rng(7)))
    assert not np.array_equal(first, add_depth_noise(FLAT, np.random.default_rng(8)))
    assert first.dtype == np.float32
    assert first.shape == FLAT.shape
    assert (np.float32(0.6) == FLAT).all(), "the input must stay untouched"


def test_half_the_images_are_only_scaled_and_half_have_bumps() -> None:
    rng = np.random.default_rng(0)
    images = [add_depth_noise(FLAT, rng) for _ in range(200)]
    bumpy = [image for image in images if np.ptp(image) > 1e-6]
    assert 70 < len(bumpy) < 130
    scales = np.array([image.mean() / 0.6 for image in images])
    assert abs(scales.mean() - 1.0) < 0.01
    assert 0.025 < scales.std() < 0.040, "Gamma(1000, 0.001) has a standard deviation of 0.032"
    # Linear resizing averages the coarse samples, so a pixel's deviation is below the drawn 5 mm.
    assert 0.002 < np.mean([image.std() for image in bumpy]) < 0.005


def test_bumps_are_smooth() -> None:
    rng = np.random.default_rng(0)
    image = next(noisy for noisy in (add_depth_noise(FLAT, rng) for _ in range(50)) if np.ptp(noisy) > 1e-6)
    assert np.abs(np.diff(image, axis=1)).mean() < 0.5 * image.std()


def test_pixels_without_a_reading_stay_without() -> None:
    holed = FLAT.copy()
    holed[10:20] = 0
    for seed in range(6):
        noisy = add_depth_noise(holed, np.random.default_rng(seed))
        assert not noisy[10:20].any()
        assert (noisy[20:] > 0).all()


def test_the_noise_of_later_work_is_small_for_every_pixel_by_itself_and_without_a_scale() -> None:
    holed = FLAT.copy()
    holed[10:20] = 0
    noisy = add_pixel_noise(holed, np.random.default_rng(7))
    np.testing.assert_array_equal(noisy, add_pixel_noise(holed, np.random.default_rng(7)))
    assert noisy.dtype == np.float32
    assert not noisy[10:20].any()
    error_m = (noisy - holed)[20:]
    assert abs(error_m.mean()) < 0.00005
    assert abs(error_m.std() - 0.0008) < 0.00005
    assert abs(np.corrcoef(error_m[:, 1:].ravel(), error_m[:, :-1].ravel())[0, 1]) < 0.05
