"""Reconstruction: closed meshes in workspace metres that agree with the predicted occupancy, whatever the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import torch
import trimesh
from made_scenes import LOW_BOX, TALL_BOX, Box, rendered
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from giga_perception import TABLE_HEIGHT_M, Giga, GraspDetector, TsdfGrid, fuse
from giga_perception.model_kinds import GIGA_AFF
from giga_perception.reconstruction import reconstruct
from giga_perception.weights import SHIPPED_MODEL, load_model, read_torch_checkpoint

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


BOX_THROUGH_THE_SIDE: Box = ((0.22, 0.10, TABLE_HEIGHT_M), (0.20, 0.08, 0.09))


def shipped_model() -> Giga:
    model, _ = load_model(SHIPPED_MODEL)
    return model


@pytest.fixture(scope="module", params=["shipped", "giga_pile.pt", "giga_packed.pt"])
def model(request: pytest.FixtureRequest) -> Giga:
    if request.param == "shipped":
        return shipped_model()
    folder: Path = request.getfixturevalue("shared_data")
    return read_torch_checkpoint(folder / "official_weights" / request.param)


@pytest.fixture(scope="module", params=["two boxes", "through the side"])
def tsdf(request: pytest.FixtureRequest) -> TsdfGrid:
    boxes = [TALL_BOX, LOW_BOX] if request.param == "two boxes" else [LOW_BOX, BOX_THROUGH_THE_SIDE]
    return fuse([rendered(boxes)])


def dense_logits(model: Giga, tsdf: TsdfGrid, resolution: int) -> NDArray[np.float32]:
    """Every lattice point asked for, the plain way; free on the faces of the cube, as the mesh wants it."""
    axis = torch.linspace(-0.5, 0.5, resolution + 1)
    points = torch.cartesian_prod(axis, axis, axis)[None]
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(tsdf.value)[None])
        chunks = [model.occupancy_logits(planes, chunk)[0] for chunk in points.split(20_000, dim=1)]
    logits = torch.cat(chunks).numpy().reshape((resolution + 1,) * 3)
    closed = np.minimum(logits, np.float32(-0.01))
    closed[1:-1, 1:-1, 1:-1] = logits[1:-1, 1:-1, 1:-1]
    return closed


@pytest.mark.parametrize("resolution", [40, 60])
def test_coarse_to_fine_gives_the_mesh_of_the_dense_evaluation(model: Giga, tsdf: TsdfGrid, resolution: int) -> None:
    vertices, triangles, _, _ = marching_cubes(dense_logits(model, tsdf, resolution), 0.0, gradient_direction="ascent")
    mesh = reconstruct(model, tsdf, resolution, max_triangles=10**6)
    assert len(mesh.faces) == len(triangles) > 500
    distance_m, _ = cKDTree(vertices * (0.3 / resolution)).query(mesh.vertices)
    assert np.quantile(distance_m, 0.99) < 1e-6
    # Logits of almost zero were moved away from it.
    assert distance_m.max() < 1e-4


@pytest.mark.parametrize(("resolution", "max_triangles"), [(20, 300), (40, 4000), (45, 1000), (80, 4000), (160, 2000)])
def test_closed_outward_and_within_the_workspace(
    model: Giga, tsdf: TsdfGrid, resolution: int, max_triangles: int
) -> None:
    mesh = reconstruct(model, tsdf, resolution, max_triangles)
    assert 100 < len(mesh.faces) <= max_triangles
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.bounds.min() >= 0
    assert mesh.bounds.max() <= 0.3
    assert mesh.volume > 0


def test_an_object_through_the_side_of_the_workspace_ends_there(shared_data: Path) -> None:
    model = read_torch_checkpoint(shared_data / "official_weights" / "giga_pile.pt")
    mesh = reconstruct(model, fuse([rendered([BOX_THROUGH_THE_SIDE])]), 80)
    assert mesh.is_watertight
    assert mesh.bounds[1, 0] == pytest.approx(0.3, abs=0.3 / 80)


@pytest.mark.parametrize(("resolution", "max_triangles"), [(20, 20_000), (40, 20_000), (40, 3000)])
def test_a_model_of_random_weights_is_closed_too(resolution: int, max_triangles: int) -> None:
    mesh = ragged_detector().reconstruct(RAGGED, resolution, max_triangles)
    assert 100 < len(mesh.faces) <= max_triangles
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0


def test_planes_at_hand_spare_the_encoder(tsdf: TsdfGrid) -> None:
    model = shipped_model()
    with torch.inference_mode():
        planes = model.encode(torch.from_numpy(tsdf.value)[None])[0]
    whole = reconstruct(model, tsdf)
    np.testing.assert_allclose(reconstruct(model, NOTHING_SEEN, planes=planes).triangles, whole.triangles, atol=1e-5)


def test_a_model_without_geometry_says_so() -> None:
    with pytest.raises(ValueError, match="'giga-aff' predicts no geometry"):
        reconstruct(Giga(GIGA_AFF), NOTHING_SEEN)


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
