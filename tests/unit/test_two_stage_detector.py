"""The second stage: training, the model file, and the detector as a whole."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synthetic_scenes import box_scene
from torch.nn import functional

from giga_perception.camera import DepthView
from giga_perception.dataset import DatasetWriter, LabelledScene
from giga_perception.detection import Detection
from giga_perception.grasp import T_workspace_grasp_origin_from_tcp
from giga_perception.tensor_file import ModelFileError
from giga_perception.two_stage.classifier import CandidateClassifier
from giga_perception.two_stage.detector import TwoStageDetector
from giga_perception.two_stage.hand_candidates import draw_candidates
from giga_perception.two_stage.model_file import load_classifier, save_classifier
from giga_perception.two_stage.observed_cloud import observe
from giga_perception.two_stage.training import (
    TwoStageTrainingError,
    scene_examples,
    train_classifier,
    validate_classifier,
)


def view_of(scene: LabelledScene) -> DepthView:
    return DepthView(scene.depth_m, scene.camera, scene.T_camera_workspace)


@cache
def labelled(seed: int) -> LabelledScene:
    """Boxes, with the candidates of the first stage for labels: those from above hold, those from the side do not."""
    scene = box_scene(seed)
    candidates = draw_candidates(observe([view_of(scene)]), np.random.default_rng(seed))
    poses = T_workspace_grasp_origin_from_tcp(candidates.T_workspace_tcp)
    chosen = np.arange(0, len(candidates), max(1, len(candidates) // 60))
    down = -poses.rotation.as_matrix()[chosen, 2, 2]
    return replace(
        scene,
        centres_m=poses.translation[chosen].astype(np.float32),
        rotations_xyzw=poses.rotation.as_quat()[chosen].astype(np.float32),
        widths_m=candidates.widths_m[chosen],
        successes=down > np.median(down),
    )


@pytest.fixture(scope="module")
def scene_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    writer = DatasetWriter(tmp_path_factory.mktemp("data"), {"generator": "test"})
    return [writer.write(replace(labelled(seed), seed=seed)) for seed in range(3)]


@cache
def random_classifier() -> CandidateClassifier:
    torch.manual_seed(0)
    return CandidateClassifier().eval()


def loss_on(classifier: CandidateClassifier, scene: LabelledScene) -> float:
    examples = scene_examples(scene, np.random.default_rng(9))
    with torch.no_grad():
        logits = classifier(torch.from_numpy(examples.grids), torch.from_numpy(examples.features))
    labels = torch.from_numpy(examples.successes.astype(np.float32))
    return float(functional.binary_cross_entropy_with_logits(logits, labels))


def test_training_lowers_the_loss_and_learns_the_rule(scene_files: list[Path]) -> None:
    trained = train_classifier(scene_files, steps=300)
    assert loss_on(trained, labelled(1)) < 0.7 * loss_on(random_classifier(), labelled(1))
    figures = validate_classifier(trained, scene_files)
    assert figures.scenes == 3
    assert figures.auc > 0.8


def test_the_same_seed_gives_the_same_weights(scene_files: list[Path]) -> None:
    first, second, other = (train_classifier(scene_files, steps=2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_examples_keep_the_labels_of_their_grasps() -> None:
    examples = scene_examples(labelled(0), np.random.default_rng(0))
    assert 0 < examples.successes.sum() < len(examples.successes)
    # Feature 1 is how far the approach points down, which is what the labels were made from.
    assert examples.features[examples.successes, 1].min() > examples.features[~examples.successes, 1].max() - 1e-4


def test_scenes_without_usable_grasps_are_a_sentence(tmp_path: Path) -> None:
    scene = replace(labelled(0), successes=np.zeros(len(labelled(0).successes), dtype=bool))
    file = DatasetWriter(tmp_path, {"generator": "test"}).write(scene)
    with pytest.raises(TwoStageTrainingError, match="fewer than"):
        train_classifier([file], steps=1)
    with pytest.raises(ValueError, match="how many steps"):
        train_classifier([file])


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "made" / "two.safetensors"
    save_classifier(file, random_classifier(), {"name": "two", "scenes": "3"})
    again, card = load_classifier(file)
    assert card == {"name": "two", "scenes": "3"}
    assert all(torch.equal(again.state_dict()[name], value) for name, value in random_classifier().state_dict().items())
    assert TwoStageDetector.from_file(file).model_name == "two"


def test_files_that_cannot_be_used_are_sentences(tmp_path: Path, random_model: Path) -> None:
    file = tmp_path / "two.safetensors"
    with pytest.raises(ModelFileError, match=r"two\.safetensors does not exist"):
        load_classifier(file)
    with pytest.raises(ModelFileError, match="kind giga"):
        load_classifier(random_model)
    save_classifier(file, random_classifier(), {})
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelFileError, match="damaged"):
        load_classifier(damaged)
    tensors = load_file(file)
    header = {"kind": "two-stage", "format_version": "1", "card": "{}"}
    other = tmp_path / "other.safetensors"  # the tensors read from a file stay mapped to it
    save_file({**tensors, "out.bias": torch.tensor([float("nan")])}, other, metadata=header)
    with pytest.raises(ModelFileError, match=r"out\.bias holds values that are not finite"):
        load_classifier(other)
    save_file({name: value for name, value in tensors.items() if name != "out.bias"}, other, metadata=header)
    with pytest.raises(ModelFileError, match="lacks 1 of"):
        load_classifier(other)


def test_grasps_are_ranked_distinct_and_repeat() -> None:
    detector = TwoStageDetector(random_classifier(), threshold=0.0)
    first, second = (detector.detect([view_of(labelled(0))]) for _ in range(2))
    assert isinstance(first, Detection)
    assert len(first.grasps) > 3
    assert first.report.message == ""
    assert first.report.after_nms == len(first.grasps)
    qualities = [grasp.quality for grasp in first.grasps]
    assert qualities == sorted(qualities, reverse=True)
    assert qualities == [grasp.quality for grasp in second.grasps]
    assert first.quality.max() == pytest.approx(qualities[0])
    places = np.array([grasp.T_workspace_tcp.translation for grasp in first.grasps])
    R = np.array([grasp.T_workspace_tcp.rotation.as_matrix() for grasp in first.grasps])
    for one, other in ((i, j) for i in range(len(places)) for j in range(i)):
        near = np.linalg.norm(places[one] - places[other]) < 0.02
        alike = R[one, :, 2] @ R[other, :, 2] > np.cos(np.deg2rad(39.0))
        alike &= abs(R[one, :, 1] @ R[other, :, 1]) > np.cos(np.deg2rad(39.0))
        assert not (near and alike)


def test_an_empty_table_is_refused_with_a_reason() -> None:
    scene = box_scene(0)
    rows, columns = np.mgrid[: scene.camera.height, : scene.camera.width]
    rays = np.stack(
        [
            (columns - scene.camera.cx) / scene.camera.fx,
            (rows - scene.camera.cy) / scene.camera.fy,
            np.ones(rows.shape),
        ],
        axis=-1,
    )
    T_workspace_camera = scene.T_camera_workspace.inv()
    fall = T_workspace_camera.rotation.apply(rays.reshape(-1, 3))[:, 2].reshape(rows.shape)
    with np.errstate(divide="ignore"):
        depth_m = (0.05 - T_workspace_camera.translation[2]) / fall
    depth_m = np.where((depth_m > 0.0) & (depth_m < 2.0), depth_m, 0.0).astype(np.float32)
    detector = TwoStageDetector(random_classifier())
    empty = detector.detect([DepthView(depth_m, scene.camera, scene.T_camera_workspace)])
    assert empty.grasps == ()
    assert "nothing but the table" in empty.report.message
    blind = detector.detect([DepthView(np.zeros_like(depth_m), scene.camera, scene.T_camera_workspace)])
    assert "no depth reading" in blind.report.message


def test_a_threshold_nothing_reaches_is_named() -> None:
    refused = TwoStageDetector(random_classifier(), threshold=1.0).detect([view_of(labelled(0))])
    assert refused.grasps == ()
    assert "threshold of 1.00" in refused.report.message
    with pytest.raises(ValueError, match="0 to 1"):
        TwoStageDetector(random_classifier(), threshold=2.0)


def test_the_command_writes_a_model_that_detects(tmp_path: Path, scene_files: list[Path]) -> None:
    out = tmp_path / "two.safetensors"
    command = [sys.executable, "-m", "giga_bringup", "train-two-stage"]
    answer = subprocess.run(
        [*command, str(scene_files[0].parent), "--steps", "2", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "3 scenes to train on" in answer.stdout
    assert TwoStageDetector.from_file(out).detect([view_of(labelled(0))]).report.model == "two"
    missing = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
