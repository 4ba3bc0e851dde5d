"""Reconstruction: closed meshes in workspace metres that agree with the predicted occupancy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import torch
import trimesh
from made_scenes import LOW_BOX, TALL_BOX, rendered

from giga_perception import Giga, GraspDetector, TsdfGrid, fuse
from giga_perception.weights import read_torch_checkpoint

NOTHING_SEEN = TsdfGrid(np.zeros((40, 40, 40), np.float32), np.zeros((40, 40, 40), np.float32))


def octahedron_detector(reach_cubes: float) -> GraspDetector:
    """A network that takes |x| + |y| + |z| < reach (cube coordinates) for occupied, whatever it sees."""
    model = Giga()
    with torch.no_grad():
        for parameter in model.decoder_tsdf.parameters():
            parameter.zero_()
        for axis in range(3):
            model.decoder_tsdf.fc_p.weight[2 * axis, axis] = 1.0
            model.decoder_tsdf.fc_p.weight[2 * axis + 1, axis] = -1.0
        model.decoder_tsdf.fc_out.weight[0, :6] = -1.0
        model.decoder_tsdf.fc_out.bias.fill_(reach_cubes)
    return GraspDetector(model)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("resolution", [20, 40, 60])
def test_a_known_shape_comes_out_at_its_place_in_metres(resolution: int) -> None:
    mesh = octahedron_detector(0.3).reconstruct(NOTHING_SEEN, resolution, max_triangles=100_000)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.bounds, [[0.06] * 3, [0.24] * 3], atol=0.3 / resolution)
    # Positive: the triangles look outwards. An octahedron of half-diagonal a holds 4 a^3 / 3.
    assert mesh.volume == pytest.approx(4 / 3 * 0.09**3, rel=0.05)


def test_what_reaches_beyond_the_workspace_is_cut_off_and_closed() -> None:
    mesh = octahedron_detector(5.0).reconstruct(NOTHING_SEEN, 40, max_triangles=100_000)
    assert mesh.is_watertight
    assert mesh.bounds.min() >= 0
    assert mesh.bounds.max() <= 0.3
    assert mesh.volume == pytest.approx(0.3**3, rel=0.01)


@pytest.mark.parametrize("max_triangles", [100, 500, 4000])
def test_the_number_of_triangles_is_kept(max_triangles: int) -> None:
    mesh = octahedron_detector(0.45).reconstruct(NOTHING_SEEN, 60, max_triangles)
    assert 50 < len(mesh.faces) <= max_triangles
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * 0.135**3, rel=0.05)


def ragged_detector() -> GraspDetector:
    """A network that fills space with noise: thousands of pieces."""
    torch.manual_seed(0)
    model = Giga()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.12)
        planes = model.encode(torch.from_numpy(RAGGED.value)[None])
        logits = model.occupancy_logits(planes, torch.rand(1, 5000, 3) - 0.5)
        model.decoder_tsdf.fc_out.bias.sub_(logits.quantile(0.8))
    return GraspDetector(model)


RAGGED = TsdfGrid(np.random.default_rng(0).random((40, 40, 40), dtype=np.float32), np.ones((40, 40, 40), np.float32))


def test_even_a_ragged_scene_keeps_to_its_triangles_and_is_closed() -> None:
    detector = ragged_detector()
    assert len(detector.reconstruct(RAGGED, 40, 10**6).faces) > 20_000
    mesh = detector.reconstruct(RAGGED, 40, 2000)
    assert 100 < len(mesh.faces) <= 2000
    assert mesh.is_watertight


def test_nothing_occupied_is_an_empty_mesh() -> None:
    mesh = octahedron_detector(-1.0).reconstruct(NOTHING_SEEN)
    assert isinstance(mesh, trimesh.Trimesh)
    assert len(mesh.faces) == 0


def test_the_mesh_agrees_with_the_networks_occupancy(shared_data: Path) -> None:
    model = read_torch_checkpoint(shared_data / "official_weights" / "giga_pile.pt")
    tsdf = fuse([rendered([TALL_BOX, LOW_BOX])])
    mesh = GraspDetector(model).reconstruct(tsdf)
    assert mesh.is_watertight
    assert 100 < len(mesh.faces) <= 4000
    points = np.random.default_rng(0).uniform(0.0, 0.3, (20_000, 3)).astype(np.float32)
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(tsdf.value)[None])
        occupied = model.occupancy_logits(planes, torch.from_numpy(points)[None] / 0.3 - 0.5)[0].numpy() > 0
    assert occupied.sum() > 200
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(mesh.vertices.astype(np.float32)), o3d.core.Tensor(mesh.faces.astype(np.uint32))
    )
    inside = scene.compute_occupancy(o3d.core.Tensor(points)).numpy() > 0.5
    agreeing = (inside & occupied).sum() / (inside | occupied).sum()
    assert agreeing > 0.85


@pytest.mark.parametrize(("resolution", "max_triangles"), [(4, 100), (1000, 100), (40, 0)])
def test_arguments_out_of_range_are_refused(resolution: int, max_triangles: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        octahedron_detector(0.3).reconstruct(NOTHING_SEEN, resolution, max_triangles)
