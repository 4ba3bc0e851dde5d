"""The family: which heads each model has, what teaches its encoder, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from giga_perception.model_family import new_network
from giga_perception.model_kinds import GIGA_FAMILY, MODEL_KINDS, VGN
from giga_perception.network import Giga
from giga_perception.scene_query import GraspNetwork

# Parameters and tensors of each, from the authors' list.
SIZES = {
    "giga": (581_863, 164),
    "giga-aff": (555_622, 130),
    "giga-geo": (503_041, 62),
    "giga-detach": (581_863, 164),
    "vgn": (313_238, 18),
}


def listed_tensors(file: Path, network: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of one network in the authors' list."""
    section = file.read_text().split(f"## {network}:")[1].split("##")[0]
    shapes = re.findall(r"^(\S+) \(([\d, ]*)\)$", section, flags=re.MULTILINE)
    return {name: tuple(int(size) for size in shape.replace(" ", "").split(",") if size) for name, shape in shapes}


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_parameter_counts(kind: str) -> None:
    model: GraspNetwork = new_network(kind)
    state_dict = model.state_dict()
    assert (sum(tensor.numel() for tensor in state_dict.values()), len(state_dict)) == SIZES[kind]
    assert model.kind == kind
    assert model.has_grasps == (kind != "giga-geo")
    assert model.has_geometry == (kind in ("giga", "giga-geo", "giga-detach"))


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_names_and_shapes_are_those_of_the_authors(shared_data: Path, kind: str) -> None:
    expected = listed_tensors(shared_data / "parity" / "state_dict_keys.txt", kind.replace("-", "_"))
    assert len(expected) == SIZES[kind][1]
    assert {name: tuple(tensor.shape) for name, tensor in new_network(kind).state_dict().items()} == expected


def encoder_gradient(kind: str, head: str) -> float:
    """How much the encoder would change if only this head ("geometry" or "grasps") were wrong."""
    torch.manual_seed(0)
    model = new_network(kind)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.15)
    prediction = model(torch.rand(1, 8, 8, 8), torch.rand(1, 5, 3) - 0.5, torch.rand(1, 6, 3) - 0.5)
    wrong = prediction.occupancy_logits if head == "geometry" else prediction.grasps.quality_logits
    wrong.square().sum().backward()
    return sum(float(p.grad.abs().sum()) for p in model.encoder.parameters() if p.grad is not None)


def test_geometry_teaches_the_encoder_unless_detached() -> None:
    assert encoder_gradient("giga", "geometry") > 0
    assert encoder_gradient("giga-detach", "geometry") == 0
    assert encoder_gradient("giga-detach", "grasps") > 0


def test_the_detached_geometry_head_itself_learns_and_says_what_giga_says() -> None:
    plain, detached = new_network("giga"), new_network("giga-detach")
    detached.load_state_dict(plain.state_dict())
    points = torch.rand(1, 6, 3) - 0.5
    tsdf = torch.rand(1, 8, 8, 8)
    found, expected = (model(tsdf, points, points).occupancy_logits for model in (detached, plain))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found.sum().backward()
    assert detached.decoder_tsdf.fc_out.weight.grad.abs().sum() > 0


def test_a_variant_with_the_weights_of_giga_says_what_giga_says() -> None:
    torch.manual_seed(2)
    giga = new_network("giga")
    tsdf, points = torch.rand(2, 8, 8, 8), torch.rand(2, 5, 3) - 0.5
    with torch.no_grad():
        expected = giga(tsdf, points, points)
        for kind in GIGA_FAMILY:
            model = Giga(kind)
            model.load_state_dict({name: giga.state_dict()[name] for name in model.state_dict()})
            found = model(tsdf, points, points)
            if kind.has_geometry:
                assert torch.equal(found.occupancy_logits, expected.occupancy_logits)
            else:
                assert found.occupancy_logits is None
            if kind.has_grasps:
                for name, value in vars(expected.grasps).items():
                    assert torch.equal(getattr(found.grasps, name), value)
            else:
                assert found.grasps is None


def test_heads_that_are_missing_are_named() -> None:
    points = torch.zeros(1, 1, 3)
    blind, handless = new_network("giga-aff"), new_network("giga-geo")
    with pytest.raises(ValueError, match="a GIGA-Aff model predicts no occupancy"):
        blind.occupancy_logits(blind.encode(torch.zeros(1, 8, 8, 8)), points)
    planes = handless.encode(torch.zeros(1, 8, 8, 8))
    for ask in (handless.quality_logits, handless.rotations, handless.widths):
        with pytest.raises(ValueError, match="a GIGA-Geo model predicts no grasps"):
            ask(planes, points)
    with pytest.raises(ValueError, match="a GIGA-Geo model predicts no grasps"):
        handless.scene(np.zeros((40, 40, 40), dtype=np.float32), 40)


@pytest.mark.parametrize("resolution", [40, 60, 24])
@pytest.mark.parametrize("kind", ["giga", "giga-aff", "giga-detach"])
def test_a_scene_is_answered_at_any_resolution(kind: str, resolution: int) -> None:
    torch.manual_seed(1)
    model = new_network(kind).eval()
    tsdf = torch.rand(40, 40, 40)
    voxels = np.random.default_rng(0).choice(resolution**3, 50, replace=False)
    points = torch.from_numpy(np.stack(np.unravel_index(voxels, (resolution,) * 3), axis=1))[None] / resolution - 0.5
    with torch.inference_mode():
        planes = model.encode(tsdf[None])
        scene = model.scene(tsdf.numpy(), resolution)
        np.testing.assert_allclose(scene.quality(voxels), model.quality_logits(planes, points).sigmoid()[0], atol=1e-5)
        np.testing.assert_allclose(scene.width(voxels), model.widths(planes, points)[0], atol=1e-5)
        np.testing.assert_allclose(scene.rotation(voxels), model.rotations(planes, points)[0], atol=1e-4)


def test_unknown_kinds_and_descriptions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kind 'pointnet': say one of giga, giga-aff, giga-geo, giga-detach, vgn"):
        new_network("pointnet")
    with pytest.raises(ValueError, match="VGN is no GIGA network"):
        Giga(VGN)
