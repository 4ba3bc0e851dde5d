"""IoU and IoU-Grasp: figures of shapes whose overlap is known, the region between the fingers, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from synthetic_scenes import box_scene

from giga_perception import save_model
from giga_perception.dataset import DatasetWriter, LabelledScene, occupancy_points_m
from giga_perception.model_family import new_network
from giga_sim.reconstruction_benchmark import (
    Overlap,
    between_fingers,
    closing_region_m,
    iou_figures,
    noisy_tsdf,
    scene_overlap,
)
from giga_sim.reconstruction_picture import occupied_surface

DOWN = Rotation.from_euler("x", 180, degrees=True).as_quat()


def in_box(lower: list[float], upper: list[float]) -> NDArray[np.bool_]:
    points = occupancy_points_m()
    return np.all((points >= lower) & (points < upper), axis=1)


def scene_of(occupancy: NDArray[np.bool_], grasp: tuple[list[float], NDArray[np.float64]] | None) -> LabelledScene:
    """A scene of this shape with one failure and, if given, one successful grasp (centre, quaternion)."""
    centre, quaternion = grasp or ([0.1, 0.1, 0.1], DOWN)
    return replace(
        box_scene(0, labels=2),
        occupancy=occupancy,
        centres_m=np.array([[0.2, 0.2, 0.2], centre], dtype=np.float32),
        rotations_xyzw=np.array([[0, 0, 0, 1], quaternion], dtype=np.float32),
        successes=np.array([False, grasp is not None]),
    )


CUBE = in_box([0.09, 0.09, 0.06], [0.21, 0.21, 0.18])


def test_the_truth_itself_scores_one_and_nothing_scores_zero() -> None:
    scene = scene_of(CUBE, ([0.15, 0.15, 0.19], DOWN))
    perfect, empty = scene_overlap(CUBE, scene), scene_overlap(np.zeros_like(CUBE), scene)
    assert perfect.whole.iou == perfect.between_fingers.iou == 1.0
    assert empty.whole.iou == empty.between_fingers.iou == 0.0
    assert perfect.between_fingers.union > 100


def test_a_cube_shifted_by_a_quarter_of_its_side_overlaps_three_fifths() -> None:
    shifted = in_box([0.12, 0.09, 0.06], [0.24, 0.21, 0.18])
    # The grasp stands over the middle: all between its fingers lies in both.
    overlap = scene_overlap(shifted, scene_of(CUBE, ([0.165, 0.15, 0.19], DOWN)))
    assert overlap.whole.iou == pytest.approx(0.6, abs=0.03)
    assert overlap.between_fingers.iou == 1.0


def test_between_the_fingers_counts_only_what_is_there() -> None:
    # Of the closing region about x = 0.12, the shifted cube has the half beyond x = 0.12.
    shifted = in_box([0.12, 0.09, 0.06], [0.24, 0.21, 0.18])
    overlap = scene_overlap(shifted, scene_of(CUBE, ([0.12, 0.15, 0.17], DOWN)))
    assert overlap.between_fingers.iou == pytest.approx(0.5, abs=0.08)


def test_the_closing_region_is_the_open_hands() -> None:
    lower, upper = closing_region_m()
    np.testing.assert_allclose(upper - lower, [0.021, 0.08, 0.054], atol=1e-3)
    np.testing.assert_allclose([lower[0] + upper[0], lower[1] + upper[1]], 0.0, atol=1e-4)
    assert upper[2] == pytest.approx(0.050, abs=1e-3)
    share = between_fingers(scene_of(CUBE, ([0.15, 0.15, 0.15], DOWN))).mean()
    assert share == pytest.approx(np.prod(upper - lower) / 0.3**3, rel=0.1)


def test_the_region_turns_with_the_hand() -> None:
    along_x = Rotation.from_euler("y", 90, degrees=True).as_quat()
    region = occupancy_points_m()[between_fingers(scene_of(CUBE, ([0.1, 0.15, 0.15], along_x)))]
    np.testing.assert_allclose(region.max(axis=0), [0.150, 0.19, 0.1605], atol=4e-3)
    np.testing.assert_allclose(region.min(axis=0), [0.0965, 0.11, 0.1395], atol=4e-3)


def test_points_between_the_fingers_of_two_grasps_count_once() -> None:
    one = scene_of(CUBE, ([0.15, 0.15, 0.15], DOWN))
    two = replace(one, centres_m=one.centres_m[[1, 1]], rotations_xyzw=one.rotations_xyzw[[1, 1]])
    two = replace(two, successes=np.array([True, True]))
    np.testing.assert_array_equal(between_fingers(two), between_fingers(one))


def test_mean_and_pooled_iou_of_two_scenes() -> None:
    figures = iou_figures([Overlap(10, 10), Overlap(0, 30), Overlap(0, 0)])
    assert figures.scenes == 2
    assert figures.mean is not None
    assert figures.mean.percent == pytest.approx(50.0)
    assert figures.mean.interval_percent == (0.0, 100.0)
    assert figures.pooled is not None
    assert figures.pooled.percent == pytest.approx(25.0)
    assert iou_figures([Overlap(0, 0)]).mean is None


def test_the_noise_is_fresh_for_each_seed_and_repeats() -> None:
    scene = box_scene(1)
    np.testing.assert_array_equal(noisy_tsdf(scene, 0).value, noisy_tsdf(scene, 0).value)
    assert np.any(noisy_tsdf(scene, 0).value != noisy_tsdf(scene, 1).value)


def test_the_drawn_surface_lies_around_the_points() -> None:
    vertices, triangles = occupied_surface(CUBE)
    assert len(triangles) > 100
    np.testing.assert_allclose(vertices.min(axis=0), [0.09, 0.09, 0.06], atol=6e-3)
    np.testing.assert_allclose(vertices.max(axis=0), [0.21, 0.21, 0.18], atol=6e-3)
    assert len(occupied_surface(np.zeros_like(CUBE))[1]) == 0


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "giga_bringup", "benchmark", "reconstruction", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_table_of_two_models_with_results_and_picture(tmp_path: Path, random_model: Path) -> None:
    writer = DatasetWriter(tmp_path / "data", {"generator": "test"})
    writer.write(box_scene(2))
    held_out = writer.write(box_scene(3, split="val"))
    geometry = tmp_path / "geo.safetensors"
    save_model(geometry, new_network("giga-geo"), {"name": "shapes"})
    results, picture = tmp_path / "results.json", tmp_path / "shapes.png"
    answer = benchmark(
        *("--data", str(tmp_path / "data"), "--model", str(random_model), "--model", str(geometry)),
        *("--json", str(results), "--picture", str(picture)),
    )
    assert answer.returncode == 0, answer.stderr
    assert "GIGA-Geo (shapes)" in answer.stdout
    report = json.loads(results.read_text())
    assert report["files"] == [held_out.name]
    assert {"commit", "machine", "noise_seed", "split"} <= report.keys()
    assert 0.0 <= report["models"]["shapes"]["pile"]["iou"]["mean"]["percent"] <= 100.0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_model_without_geometry_and_data_without_held_out_scenes_are_sentences(
    tmp_path: Path, random_model: Path
) -> None:
    affordance = tmp_path / "aff.safetensors"
    save_model(affordance, new_network("giga-aff"), {"name": "aff"})
    answer = benchmark("--model", str(affordance))
    assert answer.returncode == 2
    assert "aff.safetensors is a giga-aff, which predicts no geometry" in answer.stderr
    DatasetWriter(tmp_path / "data", {"generator": "test"}).write(box_scene(2))
    answer = benchmark("--model", str(random_model), "--data", str(tmp_path / "data"))
    assert answer.returncode == 2
    assert "no validation scenes" in answer.stderr
    assert "Traceback" not in answer.stderr
