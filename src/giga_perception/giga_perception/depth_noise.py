"""The noise of simulated depth images: the paper's (wrong scale, smooth bumps half the time), and later work's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# One factor an image, Gamma distributed with mean 1 and standard deviation 0.032.
SCALE_SHAPE = 1000.0
SCALE_SCALE = 0.001

# Gaussian noise drawn on a grid coarser by this factor, then resized: neighbouring pixels err alike.
BUMP_PROBABILITY = 0.5
BUMP_SIGMA_M = 0.005
BUMP_GRID_FACTOR = 4

# Later work (protocol P2): every pixel by itself, with no factor common to the image.
PIXEL_SIGMA_M = 0.0008


def add_depth_noise(depth_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a noisy copy of `depth_m` (float32 [H, W], metres); pixels without a reading (0) stay 0.

    The same generator state gives the same noise, whatever the image holds.
    """
    height, width = depth_m.shape
    noisy = depth_m * np.float32(rng.gamma(SCALE_SHAPE, SCALE_SCALE))
    if rng.random() < BUMP_PROBABILITY:
        coarse_shape = (max(1, height // BUMP_GRID_FACTOR), max(1, width // BUMP_GRID_FACTOR))
        coarse_m = rng.normal(0.0, BUMP_SIGMA_M, coarse_shape).astype(np.float32)
        noisy = noisy + cv2.resize(coarse_m, (width, height), interpolation=cv2.INTER_LINEAR)
    # A bump larger than the distance itself would put a reading behind the camera; that is no reading.
    return np.where(depth_m > 0, np.maximum(noisy, 0), np.float32(0)).astype(np.float32)


def add_pixel_noise(depth_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a copy of `depth_m` (float32 [H, W], metres) with the noise of protocol P2; pixels of 0 stay 0.

    Gaussian, of standard deviation PIXEL_SIGMA_M, drawn for every pixel by itself. The same generator state gives the
    same noise, whatever the image holds.
    """
    noisy = depth_m + rng.normal(0.0, PIXEL_SIGMA_M, depth_m.shape).astype(np.float32)
    return np.where(depth_m > 0, np.maximum(noisy, 0), np.float32(0)).astype(np.float32)
