"""The picture of a detection: written, of the size promised, showing what it should, the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from table_scene import BOXES, made_model, table_view

from giga_perception.camera import DepthView
from giga_perception.detection import Detection, GraspDetector
from giga_perception.detection_meshes import PICKED_COLOUR
from giga_perception.picture import PANELS, draw_detection
from giga_perception.surface_render import ColouredMesh, Viewpoint, render
from giga_perception.tsdf import fuse
from giga_perception.tsdf_surface import seen_surface


@pytest.fixture(scope="module")
def view() -> DepthView:
    return table_view()


@pytest.fixture(scope="module")
def detection(view: DepthView) -> Detection:
    found = GraspDetector(made_model(), model_name="made", threshold=0.01).detect([view])
    assert len(found.grasps) > 3
    return found


def green_pixels(path: Path) -> int:
    """How many pixels have the hue of what was picked, whatever their brightness."""
    blue, green, red = (channel.astype(int) for channel in cv2.split(cv2.imread(str(path))))
    assert PICKED_COLOUR[1] > max(PICKED_COLOUR[0], PICKED_COLOUR[2])
    return int(((green > red + 60) & (green > blue + 40)).sum())


def test_a_detection_is_drawn_and_what_was_picked_stands_out(
    tmp_path: Path, detection: Detection, view: DepthView
) -> None:
    plain, picked = tmp_path / "new" / "plain.png", tmp_path / "picked.png"
    draw_detection(detection, view, plain, title="boxes")
    draw_detection(detection, view, picked, picked=detection.grasps[:1])
    picture = cv2.imread(str(plain))
    assert picture.shape == (1056, 1760, 3)
    assert picture.std() > 20.0
    assert green_pixels(picked) > green_pixels(plain) + 200


def test_the_landscape_glows_where_grasps_are_good(tmp_path: Path, detection: Detection, view: DepthView) -> None:
    def yellow_pixels(quality: float) -> int:
        volume = np.where(detection.quality > 0, np.float32(quality), np.float32(0))
        draw_detection(replace(detection, grasps=(), quality=volume), view, tmp_path / "picture.png")
        left, bottom, width, height = PANELS["landscape"]
        picture = cv2.imread(str(tmp_path / "picture.png")).astype(int)
        rows, columns = picture.shape[:2]
        panel = picture[int((1 - bottom - height) * rows) : int((1 - bottom) * rows)]
        blue, green, red = np.moveaxis(panel[:, int(left * columns) : int((left + width) * columns)], -1, 0)
        return int(((green > blue + 60) & (red > blue + 60)).sum())

    assert yellow_pixels(0.05) == 0
    assert yellow_pixels(0.95) > 5000


def test_nothing_found_and_nothing_seen_are_drawn_too(tmp_path: Path, detection: Detection, view: DepthView) -> None:
    nothing = replace(view, depth_m=np.zeros_like(view.depth_m))
    empty = GraspDetector(made_model(), threshold=0.01).detect([nothing])
    draw_detection(empty, nothing, tmp_path / "empty.png")
    assert cv2.imread(str(tmp_path / "empty.png")) is not None


def test_the_seen_surface_lies_on_what_was_seen(view: DepthView) -> None:
    vertices, triangles = seen_surface(fuse([view]))
    assert len(triangles) > 500
    assert triangles.max() < len(vertices)
    distances = [np.abs(vertices[:, 2] - 0.05)]
    for centre, size in BOXES:
        outside = np.abs(vertices - centre) - 0.5 * np.array(size)
        distances.append(np.abs(np.maximum(outside, 0).sum(axis=1) + np.minimum(outside.max(axis=1), 0)))
    distance = np.min(distances, axis=0)
    # Edges are rounded and silhouettes blurred, by about a voxel; most of the surface is far better.
    assert np.quantile(distance, 0.5) < 0.002
    assert np.quantile(distance, 0.95) < 0.010
    # A box hides what is behind it: no table is claimed there.
    (cx, cy, _), (_, depth, _) = BOXES[0]
    hidden = (np.abs(vertices[:, 0] - cx) < 0.01) & (np.abs(vertices[:, 1] - (cy + depth / 2 + 0.02)) < 0.01)
    assert not (hidden & (vertices[:, 2] < 0.06)).any()


def test_nothing_seen_has_no_surface(view: DepthView) -> None:
    vertices, triangles = seen_surface(fuse([replace(view, depth_m=np.zeros_like(view.depth_m))]))
    assert vertices.shape == triangles.shape == (0, 3)


def test_a_render_shows_the_nearer_mesh_where_it_projects_to() -> None:
    square = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    red = ColouredMesh(square, triangles, np.tile([1.0, 0.0, 0.0], (4, 1)))
    above = square * 0.1 + [0.5, 0.5, 0.1]
    blue = ColouredMesh(above, triangles, np.tile([0.0, 0.0, 1.0], (4, 1)))
    viewpoint = Viewpoint(np.array([0.0, -1.0, 4.0]), np.zeros(3), 40.0, 80, 60)
    picture = render([red, blue], viewpoint)
    assert picture.shape == (60, 80, 4)
    column, row = np.round(viewpoint.project(np.array([[0.5, 0.5, 0.1]]))[0]).astype(int)
    assert picture[row, column, 2] > 100 > picture[row, column, 0]
    assert picture[30, 40, 0] > 100 > picture[30, 40, 2]
    assert picture[0, 0, 3] == 0
    np.testing.assert_array_equal(picture, render([red, blue], viewpoint))
    assert render([], viewpoint).max() == 0
