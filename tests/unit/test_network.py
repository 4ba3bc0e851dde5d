"""The GIGA network: parity with the authors' code, the shapes training relies on, gradients to every weight."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from giga_perception import Giga
from giga_perception.grid_query import GridQuery, GridSceneQuery, lower_corner_coordinates
from giga_perception.model_kinds import GIGA_AFF
from giga_perception.network import sample_planes


def with_random_weights(seed: int) -> Giga:
    """A network in which every weight matters (a fresh one starts with blocks that change nothing)."""
    torch.manual_seed(seed)
    model = Giga()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.15)
    return model.eval()


def test_parity_with_the_authors_code(shared_data: Path) -> None:
    reference = np.load(shared_data / "parity" / "parity.npz")
    model = Giga()
    model.load_state_dict(
        torch.load(shared_data / "parity" / "ref_giga_cal.pt", map_location="cpu", weights_only=True), strict=True
    )
    centres = torch.from_numpy(reference["query_pos_40"])[None]
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(reference["tsdf_grid"]))
        quality = torch.sigmoid(model.quality_logits(planes, centres))[0]
        rotations = model.rotations(planes, centres)[0]
        widths = model.widths(planes, centres)[0]
        occupancy = model.occupancy_logits(planes, torch.from_numpy(reference["occ_points"])[None])[0]
    for index, name in enumerate(("plane_xz", "plane_xy", "plane_yz")):
        np.testing.assert_allclose(planes[0, index], reference[name], atol=1e-5)
    np.testing.assert_allclose(quality, reference["qual_cal"], atol=1e-4)
    np.testing.assert_allclose(rotations, reference["rot_cal"], atol=1e-4)
    np.testing.assert_allclose(widths, reference["width_cal"], atol=1e-4)
    np.testing.assert_allclose(occupancy, reference["occ_logits_cal"], atol=1e-4)


@pytest.mark.parametrize("name", ["packed", "pile"])
def test_parity_of_the_released_weights(shared_data: Path, name: str) -> None:
    reference = np.load(shared_data / "parity" / "parity.npz")
    heads = np.load(shared_data / "parity" / "parity_official.npz")
    weights = shared_data / "official_weights" / f"giga_{name}.pt"
    model = Giga()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(reference["tsdf_grid"]))
        centres = torch.from_numpy(reference["query_pos_40"])[None]
        np.testing.assert_allclose(
            model.quality_logits(planes, centres).sigmoid()[0], heads[f"{name}_qual"].ravel(), atol=1e-4
        )
        np.testing.assert_allclose(model.widths(planes, centres)[0], heads[f"{name}_width"].ravel(), atol=1e-4)
        np.testing.assert_allclose(model.rotations(planes, centres)[0], heads[f"{name}_rot"].reshape(-1, 4), atol=1e-4)


def test_one_encoding_answers_many_queries_and_every_weight_learns() -> None:
    model = with_random_weights(0).train()
    prediction = model(torch.rand(2, 16, 16, 16), torch.rand(2, 7, 3) - 0.5, torch.rand(2, 11, 3) - 0.5)
    grasps = prediction.grasps
    assert grasps.quality_logits.shape == (2, 7)
    assert grasps.rotations.shape == (2, 7, 4)
    assert grasps.widths.shape == (2, 7)
    assert prediction.occupancy_logits.shape == (2, 11)
    torch.testing.assert_close(grasps.rotations.norm(dim=-1), torch.ones(2, 7))
    heads = (grasps.quality_logits, grasps.rotations[..., 0], grasps.widths, prediction.occupancy_logits)
    loss = sum(head.square().sum() for head in heads)
    loss.backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert not without


def test_forward_agrees_with_the_heads_asked_one_by_one() -> None:
    model = with_random_weights(3)
    tsdf, centres, points = torch.rand(2, 16, 16, 16), torch.rand(2, 5, 3) - 0.5, torch.rand(2, 6, 3) - 0.5
    with torch.inference_mode():
        together = model(tsdf, centres, points)
        for scene in range(2):
            planes = model.encode(tsdf[scene : scene + 1])
            one, two = centres[scene : scene + 1], points[scene : scene + 1]
            torch.testing.assert_close(together.grasps.quality_logits[scene], model.quality_logits(planes, one)[0])
            torch.testing.assert_close(together.grasps.rotations[scene], model.rotations(planes, one)[0])
            torch.testing.assert_close(together.grasps.widths[scene], model.widths(planes, one)[0])
            torch.testing.assert_close(together.occupancy_logits[scene], model.occupancy_logits(planes, two)[0])


def test_sampling_is_linear_between_plane_points_and_constant_beyond_the_cube() -> None:
    # A plane xz that holds x, a plane xy that holds y, a plane yz that holds z (from 0 to 1 across the cube).
    ramp = torch.linspace(0, 1, 9)
    planes = torch.zeros(1, 3, 1, 9, 9)
    planes[0, 0, 0] = ramp[None, :]  # column = first = x
    planes[0, 1, 0] = ramp[:, None]  # row = second = y
    planes[0, 2, 0] = ramp[:, None]  # row = second = z
    points = torch.tensor([[[-0.5, 0.0, 0.25], [0.1, -0.3, 0.45], [-0.9, 0.7, 2.0]]])
    expected = (points + 0.5).clamp(0, 1)
    torch.testing.assert_close(sample_planes(planes, points), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("resolution", [8, 12, 40])
def test_a_grid_query_equals_asking_point_by_point(resolution: int) -> None:
    model = with_random_weights(5)
    axis = lower_corner_coordinates(resolution)
    voxels = np.random.default_rng(0).choice(resolution**3, 300, replace=False)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)[voxels][None]
    with torch.inference_mode():
        planes = model.encode(torch.rand(1, 16, 16, 16))
        query = GridQuery(planes[0], axis)
        features = sample_planes(planes, points)
        for decoder in (model.decoder_qual, model.decoder_rot, model.decoder_width, model.decoder_tsdf):
            expected = decoder(points, features)[0]
            # Random weights give large outputs; rounding errors grow with them.
            tolerance = 1e-5 * float(expected.abs().max())
            torch.testing.assert_close(query.ask(decoder, voxels), expected, atol=tolerance, rtol=0)


def test_a_grid_query_without_points_answers_nothing() -> None:
    model = with_random_weights(5)
    with torch.inference_mode():
        query = GridQuery(model.encode(torch.rand(1, 8, 8, 8))[0], lower_corner_coordinates(8))
        assert query.ask(model.decoder_rot, np.array([], dtype=np.intp)).shape == (0, 4)


@pytest.mark.parametrize("shape", [(1, 40, 40, 20), (1, 10, 10, 10), (40, 40, 40)])
def test_a_tsdf_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape("[B, R, R, R]")):
        Giga().encode(torch.zeros(shape))


def test_the_shape_around_a_hand_is_the_geometry_heads_interpolated() -> None:
    model = with_random_weights(3)
    tsdf = np.random.default_rng(3).random((40,) * 3, dtype=np.float32)
    query = model.scene(tsdf, 40)
    assert isinstance(query, GridSceneQuery)
    rng = np.random.default_rng(4)
    on_lattice = (rng.integers(0, 41, (500, 3)) / 40.0 - 0.5).astype(np.float32)
    between = rng.uniform(-0.5, 0.5, (500, 3)).astype(np.float32)

    def asked_one_by_one(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            planes = model.encode(torch.from_numpy(tsdf)[None])
            return model.occupancy_logits(planes, torch.from_numpy(points)[None])[0].sigmoid().numpy()

    np.testing.assert_allclose(query.occupancy(on_lattice), asked_one_by_one(on_lattice), atol=1e-4)
    axis = np.linspace(-0.5, 0.5, 41)
    lattice = asked_one_by_one(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3).astype("f4"))
    interpolated = RegularGridInterpolator((axis,) * 3, lattice.reshape((41,) * 3))(between)
    np.testing.assert_allclose(query.occupancy(between), interpolated, atol=1e-4)
    # Outside, the border's answer.
    outside = np.clip(on_lattice * 3.0, -0.7, 0.7)
    np.testing.assert_allclose(query.occupancy(outside), query.occupancy(np.clip(outside, -0.5, 0.5)), atol=1e-6)
    shapeless = Giga(GIGA_AFF).scene(tsdf, 40)
    assert isinstance(shapeless, GridSceneQuery)
    with pytest.raises(ValueError, match="predicts no occupancy"):
        shapeless.occupancy(between)
