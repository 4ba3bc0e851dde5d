"""The landscape: each point of a surface is as good as the best grasp centre near it, in one set of colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from table_scene import BOXES, made_model, table_view

from giga_perception.affordance_landscape import (
    NO_CENTRE_COLOUR,
    REACH_M,
    affordance_landscape,
    seen_landscape,
)
from giga_perception.detection import GraspDetector
from giga_perception.quality_colour import QUALITY_COLOURS, quality_colour

BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.06)
BALL.apply_translation([0.15, 0.15, 0.15])


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def quality_with(resolution: int, **centres: tuple[tuple[float, float, float], float]) -> NDArray[np.float32]:
    """A volume that is 0 but at these centres, in metres."""
    quality = np.zeros((resolution,) * 3, dtype=np.float32)
    for centre_m, value in centres.values():
        quality[tuple(np.round(np.array(centre_m) * resolution / 0.3).astype(int))] = value
    return quality


@pytest.mark.parametrize("resolution", [40, 60])
def test_each_vertex_has_the_best_of_the_centres_within_reach(resolution: int) -> None:
    rng = np.random.default_rng(0)
    quality = np.where(rng.random((resolution,) * 3) < 0.02, rng.random((resolution,) * 3), 0.0).astype(np.float32)
    landscape = affordance_landscape(BALL, quality)
    centres_m = np.argwhere(quality > 0) * 0.3 / resolution
    values = quality[quality > 0]
    for vertex, affordance in list(zip(landscape.vertices_m, landscape.affordance, strict=True))[::20]:
        near = np.linalg.norm(centres_m - vertex, axis=1) <= REACH_M
        expected = values[near].max() if near.any() else np.nan
        np.testing.assert_equal(affordance, expected)


def test_colours_follow_a_volume_made_by_hand() -> None:
    top, right = (0.15, 0.15, 0.2175), (0.2175, 0.15, 0.15)
    landscape = affordance_landscape(BALL, quality_with(40, top=(top, 1.0), right=(right, 0.25)))
    colours = landscape.colours()
    for centre, colour in ((top, QUALITY_COLOURS[4]), (right, QUALITY_COLOURS[1])):
        near = np.linalg.norm(BALL.vertices - centre, axis=1) < REACH_M - 1e-6
        assert near.sum() > 10
        np.testing.assert_allclose(colours[near], np.tile(colour, (near.sum(), 1)), atol=1e-6)
    far = BALL.vertices[:, 0] + BALL.vertices[:, 2] < 0.28
    assert np.isnan(landscape.affordance[far]).all()
    np.testing.assert_allclose(colours[far], np.tile(NO_CENTRE_COLOUR, (far.sum(), 1)))


def test_nothing_allowed_and_nothing_there() -> None:
    nothing = np.zeros((40, 40, 40), np.float32)
    assert np.isnan(affordance_landscape(BALL, nothing).affordance).all()
    empty = affordance_landscape(trimesh.Trimesh(), nothing + 1)
    assert empty.vertices_m.shape == empty.triangles.shape == empty.colours().shape == (0, 3)


def test_the_seen_landscape_lies_on_the_seen_surface_and_faces_the_camera() -> None:
    view = table_view()
    detection = GraspDetector(made_model(), threshold=0.01).detect([view])
    landscape = seen_landscape(detection)
    assert len(landscape.triangles) > 500
    assert np.nanmax(landscape.affordance) == pytest.approx(float(detection.quality.max()), abs=0.2)
    known = np.isfinite(landscape.affordance)
    np.testing.assert_allclose(landscape.colours()[known], quality_colour(landscape.affordance[known]))
    # The tops of the boxes look up.
    corners = landscape.vertices_m[landscape.triangles]
    upwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    for (x, y, z), (_, _, height) in BOXES:
        top = np.abs(corners.mean(axis=1) - [x, y, z + height / 2]).max(axis=1) < 0.01
        assert top.any()
        assert (upwards[top] > 0).all()
