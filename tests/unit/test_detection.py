"""Detection: the fast path equals a plain dense one, ranks as the authors' code does, and says why nothing is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dense_detection import dense_detection
from made_scenes import LOW_BOX, TALL_BOX, rendered
from scipy.spatial.transform import RigidTransform

from giga_perception import (
    DepthView,
    Detection,
    DetectionCounts,
    Giga,
    GraspDetector,
    PinholeCamera,
    T_workspace_grasp_origin_from_tcp,
    TsdfGrid,
    fuse,
)
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.selection_policy import policy_named
from giga_perception.vgn import Vgn
from giga_perception.weights import read_torch_checkpoint, save_model

VIEW = rendered([TALL_BOX, LOW_BOX])


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def lively_model(seed: int) -> Giga:
    """Random weights whose qualities and widths vary on both sides of every limit."""
    torch.manual_seed(seed)
    model = Giga()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.12)
    points = torch.rand(1, 4000, 3) - 0.5
    with torch.no_grad():
        planes = model.encode(torch.from_numpy(fuse([VIEW]).value)[None])
        for head, centre, spread in ((model.decoder_qual, 0.0, 3.0), (model.decoder_width, 0.13, 0.08)):
            values = (
                model.quality_logits(planes, points) if head is model.decoder_qual else model.widths(planes, points)
            )
            scale = spread / values.std()
            head.fc_out.weight.mul_(scale)
            head.fc_out.bias.sub_(values.mean()).mul_(scale).add_(centre)
    return model


def assert_nested(detection: Detection) -> None:
    """Counts shrink from stage to stage."""
    report = detection.report
    counts = [
        report.voxels_total if len(detection.quality) == 40 else len(detection.quality) ** 3,
        report.centres_near_surface,
        report.centres_in_bounds,
        report.centres_width_valid,
        report.above_threshold,
        report.after_nms,
        report.after_region,
    ]
    assert counts == sorted(counts, reverse=True)
    assert report.after_region == len(detection.grasps)
    assert 0 <= report.voxels_observed <= report.voxels_total


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("resolution", "out_threshold"), [(40, 0.5), (40, 0.1), (60, 0.5), (24, 0.3)])
def test_the_fast_path_equals_the_dense_detection(seed: int, resolution: int, out_threshold: float) -> None:
    model = lively_model(seed)
    detector = GraspDetector(model, resolution=resolution, threshold=0.6, out_threshold=out_threshold)
    detection = detector.detect([VIEW])
    quality, grasps = dense_detection(model, fuse([VIEW]), fuse([VIEW], resolution), 0.6, out_threshold)
    assert len(grasps) > 5, "the comparison must have something to compare"
    np.testing.assert_allclose(detection.quality, quality, atol=1e-5)
    assert len(detection.grasps) == len(grasps)
    for grasp, (expected_quality, pose, width_m) in zip(detection.grasps, grasps, strict=True):
        assert grasp.quality == pytest.approx(expected_quality, abs=1e-5)
        assert grasp.width_m == pytest.approx(width_m, abs=1e-5)
        np.testing.assert_allclose(grasp.T_workspace_tcp.as_matrix(), pose, atol=1e-4)
    assert_nested(detection)
    assert detection.report.above_threshold == np.count_nonzero(quality >= 0.6)
    assert detection.report.best_quality == pytest.approx(quality.max(), abs=1e-5)
    assert detection.report.message == ""


@pytest.mark.parametrize("name", ["cal", "packed", "pile"])
@pytest.mark.parametrize("resolution", [40, 60])
@pytest.mark.parametrize("out_threshold", [0.5, 0.1])
def test_ranked_grasps_are_those_of_the_authors_code(
    shared_data: Path, name: str, resolution: int, out_threshold: float
) -> None:
    scene = np.load(shared_data / "parity" / "parity.npz")
    ranked = np.load(shared_data / "parity" / "parity_official.npz")
    K = scene["K"]
    camera = PinholeCamera(640, 480, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    view = DepthView(scene["depth"], camera, RigidTransform.from_matrix(scene["extrinsic"]))
    file = "parity/ref_giga_cal.pt" if name == "cal" else f"official_weights/giga_{name}.pt"
    detector = GraspDetector(
        read_torch_checkpoint(shared_data / file),
        resolution=resolution,
        threshold=0.9,
        out_threshold=out_threshold,
        best_forced=True,
    )
    detection = detector.detect([view])
    expected = {key: ranked[f"{name}_{resolution}_out{out_threshold}_{key}"] for key in ("pose", "width_m", "score")}
    assert len(detection.grasps) == len(expected["pose"]) > 0
    for rank, grasp in enumerate(detection.grasps):
        T_workspace_grasp = T_workspace_grasp_origin_from_tcp(grasp.T_workspace_tcp)
        np.testing.assert_allclose(T_workspace_grasp.as_matrix(), expected["pose"][rank], atol=1e-4)
        assert grasp.width_m == pytest.approx(expected["width_m"][rank], abs=1e-5)
        assert grasp.quality == pytest.approx(expected["score"][rank], abs=1e-5)
    if (name, resolution, out_threshold) == ("cal", 40, 0.5):
        np.testing.assert_allclose(detection.quality, scene["qual_processed_cal"], atol=1e-5)


def test_the_authors_network_grasps_the_tall_box_where_it_stands(shared_data: Path) -> None:
    detector = GraspDetector(read_torch_checkpoint(shared_data / "official_weights" / "giga_packed.pt"))
    detection = detector.detect([rendered([TALL_BOX])])
    assert detection.grasps
    best = detection.grasps[0]
    corner_m, size_m = np.array(TALL_BOX[0]), np.array(TALL_BOX[1])
    tcp_m = best.T_workspace_tcp.translation
    assert (tcp_m > corner_m - 0.015).all()
    assert (tcp_m < corner_m + size_m + 0.015).all()
    # Narrow enough for either side of the box, and no narrower than its thin one less a voxel.
    assert size_m[0] - 0.01 < best.width_m < size_m[1] + 0.01


def test_two_threads_may_use_one_detector() -> None:
    detector = GraspDetector(lively_model(1), threshold=0.6)
    views = [[VIEW], [rendered([TALL_BOX])]] * 4
    alone = [detector.detect(view).quality for view in views]
    with ThreadPoolExecutor(4) as pool:
        together = [detection.quality for detection in pool.map(detector.detect, views)]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_times_and_names_are_reported() -> None:
    report = GraspDetector(lively_model(1), model_name="lively").detect([VIEW]).report
    assert report.model == "lively"
    assert min(report.integrate_ms, report.network_ms, report.selection_ms) > 0
    stages_ms = report.integrate_ms + report.network_ms + report.selection_ms
    assert stages_ms == pytest.approx(report.total_ms, rel=0.1)


def test_the_report_has_the_fields_of_the_message() -> None:
    message = Path(__file__).parents[2] / "src" / "giga_msgs" / "msg" / "DetectionReport.msg"
    lines = [line.split("#")[0].split() for line in message.read_text().splitlines()]
    assert [field.name for field in fields(DetectionCounts)] == [line[1] for line in lines if line]


def test_nothing_seen_is_said() -> None:
    empty = replace(VIEW, depth_m=np.zeros_like(VIEW.depth_m))
    detection = GraspDetector(lively_model(1)).detect([empty])
    assert detection.grasps == ()
    assert detection.report.voxels_observed == 0
    assert "no depth reading falls inside the workspace" in detection.report.message
    assert not detection.quality.any()


def test_free_space_alone_is_said() -> None:
    # Everything in the image lies beyond the workspace: the cube is seen, and it is empty.
    beyond = replace(VIEW, depth_m=np.full_like(VIEW.depth_m, 1.9))
    report = GraspDetector(lively_model(1)).detect([beyond]).report
    assert report.voxels_observed > 0
    assert report.centres_near_surface == 0
    assert "no surface" in report.message


def test_impossible_widths_are_said() -> None:
    model = lively_model(1)
    with torch.no_grad():
        model.decoder_width.fc_out.bias.fill_(50.0)
    report = GraspDetector(model).detect([VIEW]).report
    assert report.centres_in_bounds > 0
    assert report.centres_width_valid == 0
    assert "width" in report.message


def test_surfaces_at_the_border_alone_are_said() -> None:
    value = np.zeros((40, 40, 40), dtype=np.float32)
    value[:, :, 1] = 0.7
    report = GraspDetector(lively_model(1)).detect_in(TsdfGrid(value, np.ones_like(value))).report
    assert report.centres_near_surface > 0
    assert report.centres_in_bounds == 0
    assert "border" in report.message


def test_a_quality_below_the_threshold_is_said_with_the_best_one() -> None:
    detection = GraspDetector(lively_model(1), threshold=1.0).detect([VIEW])
    report = detection.report
    assert detection.grasps == ()
    assert report.above_threshold == 0
    assert report.centres_width_valid > 0
    assert report.message == f"no grasp reaches the quality threshold of 1.00, the best has {report.best_quality:.2f}"
    assert_nested(detection)


def test_the_best_one_is_forced_only_when_nothing_reaches_the_threshold() -> None:
    model = lively_model(1)
    plain = GraspDetector(model, threshold=0.6).detect([VIEW])
    assert len(plain.grasps) > 1
    unneeded = GraspDetector(model, threshold=0.6, best_forced=True).detect([VIEW])
    assert len(unneeded.grasps) == len(plain.grasps)
    forced = GraspDetector(model, threshold=1.0, best_forced=True).detect([VIEW])
    assert [grasp.quality for grasp in forced.grasps] == [plain.grasps[0].quality]
    assert forced.report.quality_threshold == 0.5
    assert_nested(forced)


def test_a_best_one_below_one_half_is_never_forced() -> None:
    model = lively_model(1)
    with torch.no_grad():
        model.decoder_qual.fc_out.weight.zero_()
        model.decoder_qual.fc_out.bias.fill_(-0.1)
    detection = GraspDetector(model, threshold=0.9, best_forced=True).detect([VIEW])
    assert detection.grasps == ()
    assert 0.4 < detection.report.best_quality < 0.5
    assert "0.50" in detection.report.message


def test_another_resolution_needs_its_own_mask() -> None:
    detector = GraspDetector(lively_model(1), resolution=60)
    with pytest.raises(ValueError, match=r"60\^3 needs a TSDF of that resolution"):
        detector.detect_in(fuse([VIEW]))
    assert detector.detect_in(fuse([VIEW]), fuse([VIEW], 60)).quality.shape == (60, 60, 60)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("threshold", -0.1), ("threshold", 1.5), ("out_threshold", 0.0), ("resolution", 0), ("resolution", 10_000)],
)
def test_settings_out_of_range_are_refused(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        GraspDetector(Giga(), **{argument: value})


def test_a_network_that_cannot_do_what_is_asked_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="geometry only"):
        GraspDetector(Giga(MODEL_KINDS["giga-geo"]))
    with pytest.raises(ValueError, match="at resolution 40, not 60"):
        GraspDetector(Vgn(), resolution=60)
    with pytest.raises(ValueError, match="predicts no geometry"):
        GraspDetector(Vgn(), model_name="a VGN").reconstruct(fuse([VIEW]))
    with pytest.raises(ValueError, match="predicts no geometry"):
        GraspDetector(Giga(MODEL_KINDS["giga-aff"])).reconstruct(fuse([VIEW]))


def test_grasps_come_in_the_order_of_the_policy() -> None:
    model = lively_model(2)
    best = GraspDetector(model, threshold=0.6).detect([VIEW]).grasps
    highest = GraspDetector(model, threshold=0.6, policy=policy_named("highest")).detect([VIEW]).grasps
    assert {grasp.quality for grasp in highest} == {grasp.quality for grasp in best}
    assert [grasp.quality for grasp in best] == sorted((grasp.quality for grasp in best), reverse=True)
    heights = [T_workspace_grasp_origin_from_tcp(grasp.T_workspace_tcp).translation[2] for grasp in highest]
    assert heights == sorted(heights, reverse=True)
    assert heights != sorted(heights)


def test_a_detector_that_averages_still_reconstructs(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_model(file, lively_model(2), {"name": "lively"})
    plain, averaged = GraspDetector.from_file(file), GraspDetector.from_file(file, averaging="mirror")
    assert np.abs(averaged.detect([VIEW]).quality - plain.detect([VIEW]).quality).max() > 1e-3
    tsdf = fuse([VIEW])
    np.testing.assert_array_equal(averaged.reconstruct(tsdf).vertices, plain.reconstruct(tsdf).vertices)
    with pytest.raises(ValueError, match="say one of none, mirror, turn"):
        GraspDetector.from_file(file, averaging="all")
