"""A camera's scale error is found in what it shows of the table, and taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scenes import LOW_BOX, TALL_BOX, rendered

from giga_perception import DepthView, GraspDetector
from giga_perception.depth_noise import add_depth_noise
from giga_perception.detection_mode import MODES
from giga_perception.table_levelling import levelled, levelling_factor
from giga_perception.weights import load_model


def scaled(view: DepthView, factor: float) -> DepthView:
    return replace(view, depth_m=view.depth_m * np.float32(factor))


@pytest.mark.parametrize("error", [0.93, 0.98, 1.0, 1.03, 1.08])
def test_a_scale_error_is_found(error: float) -> None:
    view = rendered([TALL_BOX, LOW_BOX])
    # The rendered image is right but for half a pixel: its rays pass through the pixels' middles.
    assert levelling_factor(view) == pytest.approx(1.0, abs=0.004)
    assert levelling_factor(scaled(view, error)) * error == pytest.approx(levelling_factor(view), abs=0.001)
    np.testing.assert_allclose(levelled(scaled(view, error)).depth_m, levelled(view).depth_m, rtol=0.001)


def test_it_is_found_under_the_papers_noise() -> None:
    view, rng = rendered([TALL_BOX, LOW_BOX]), np.random.default_rng(2)
    before, after = [], []
    for _ in range(40):
        noisy = replace(view, depth_m=add_depth_noise(view.depth_m, rng))
        scale = np.median(noisy.depth_m[view.depth_m > 0] / view.depth_m[view.depth_m > 0])
        before.append(scale - 1.0)
        after.append(scale * levelling_factor(noisy) - 1.0)
    assert np.std(before) > 0.02
    assert np.std(after) < 0.006


def test_where_no_table_is_seen_nothing_changes() -> None:
    view = rendered([TALL_BOX])
    assert levelling_factor(replace(view, depth_m=np.zeros_like(view.depth_m))) == 1.0
    assert levelling_factor(replace(view, depth_m=np.full_like(view.depth_m, np.nan))) == 1.0
    # A wall close before the camera: what is seen lies far above any table.
    wall = replace(view, depth_m=np.full_like(view.depth_m, 0.35))
    assert levelled(wall) is wall


def test_a_detector_that_levels_finds_the_same_in_a_wrongly_scaled_image(random_model: Path) -> None:
    view = rendered([TALL_BOX, LOW_BOX])
    wrong = scaled(view, 1.04)
    model, _ = load_model(random_model)
    levels, plain = (GraspDetector(model, threshold=0.0, levels_table=asked) for asked in (True, False))
    left, without = (
        np.abs(detector.detect([wrong]).tsdf.value - detector.detect([view]).tsdf.value).mean()
        for detector in (levels, plain)
    )
    assert left < 0.1 * without
    assert {name for name, mode in MODES.items() if mode.levels_table} == {"fast", "careful"}
