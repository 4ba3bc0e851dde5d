"""VGN: parity with the authors' code, the cheap convolution, its answers as a scene query, its labels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from giga_perception.vgn import Vgn, convolve_doubled, nearest_voxels


def with_random_weights(seed: int) -> Vgn:
    torch.manual_seed(seed)
    model = Vgn().eval()
    with torch.no_grad():
        # Strong enough that what goes in is still seen in what comes out.
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


def dense_reference(model: Vgn, tsdf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The authors' network as it is written: quality and width (in voxels) [B, 40, 40, 40], rotation [B, 4, ...]."""
    features = tsdf[:, None]
    for convolution in (model.encoder.conv1, model.encoder.conv2, model.encoder.conv3):
        features = torch.relu(convolution(features))
    assert features.shape[1:] == (64, 5, 5, 5)
    for convolution, side in ((model.decoder.conv1, 10), (model.decoder.conv2, 20), (model.decoder.conv3, 40)):
        features = functional.interpolate(torch.relu(convolution(features)), side)
    return (
        torch.sigmoid(model.conv_qual(features))[:, 0],
        model.conv_width(features)[:, 0],
        functional.normalize(model.conv_rot(features), dim=1),
    )


def test_parameter_count() -> None:
    assert sum(parameter.numel() for parameter in Vgn().parameters()) == 313_238


def test_parity_with_the_authors_code(shared_data: Path) -> None:
    reference = np.load(shared_data / "parity" / "parity.npz")
    model = Vgn()
    model.load_state_dict(
        torch.load(shared_data / "parity" / "ref_vgn_cal.pt", map_location="cpu", weights_only=True), strict=True
    )
    with torch.inference_mode():
        volumes = model.volumes(torch.from_numpy(reference["tsdf_grid"]))
    np.testing.assert_allclose(volumes.quality_logits.sigmoid(), reference["vgn_qual_cal"], atol=1e-4)
    np.testing.assert_allclose(volumes.rotations[0], reference["vgn_rot_cal"], atol=1e-4)
    np.testing.assert_allclose(volumes.widths * 40, reference["vgn_width_cal"], atol=1e-4)


@pytest.mark.parametrize("name", ["packed", "pile"])
def test_the_released_weights_through_the_dense_network(shared_data: Path, name: str) -> None:
    model = Vgn()
    model.load_state_dict(
        torch.load(shared_data / "official_weights" / f"vgn_{name}.pt", map_location="cpu", weights_only=True)
    )
    tsdf = torch.from_numpy(np.load(shared_data / "parity" / "parity.npz")["tsdf_grid"])
    with torch.inference_mode():
        volumes = model.volumes(tsdf)
        quality, width, rotation = dense_reference(model, tsdf)
    assert quality.max() > 0.9
    torch.testing.assert_close(volumes.quality_logits.sigmoid(), quality, atol=1e-4, rtol=0)
    torch.testing.assert_close(volumes.widths, width / 40, atol=1e-5, rtol=0)
    torch.testing.assert_close(volumes.rotations, rotation, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [3, 5])
def test_the_cheap_convolution_of_a_doubled_volume_equals_the_plain_one(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    volume, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 4, 5, 6), (7, 3, size, size, size), (7,))
    )
    plain = functional.conv3d(functional.interpolate(volume, scale_factor=2), weight, bias, padding=size // 2)
    cheap = convolve_doubled(volume, weight, bias)
    torch.testing.assert_close(cheap, plain)
    probe = torch.randn(plain.shape, generator=generator, dtype=torch.float64)
    for ours, expected in zip(
        torch.autograd.grad((cheap * probe).sum(), (volume, weight, bias)),
        torch.autograd.grad((plain * probe).sum(), (volume, weight, bias)),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected)


def test_a_kernel_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 3 or 5, got 7"):
        convolve_doubled(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 7, 7, 7), torch.zeros(1))


def test_a_scene_query_equals_a_dense_evaluation() -> None:
    model = with_random_weights(1)
    tsdf = torch.rand(40, 40, 40, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        quality, width, rotation = dense_reference(model, tsdf[None])
    assert quality.std() > 0.05
    voxels = np.random.default_rng(0).choice(40**3, 500, replace=False)
    x, y, z = voxels // 1600, voxels // 40 % 40, voxels % 40
    scene = model.scene(tsdf.numpy(), 40)
    np.testing.assert_allclose(scene.quality(voxels), quality[0, x, y, z], atol=1e-5)
    np.testing.assert_allclose(scene.width(voxels), width[0, x, y, z] / 40, atol=1e-5)
    np.testing.assert_allclose(scene.rotation(voxels), rotation[0, :, x, y, z].T, atol=1e-4)
    none = np.array([], dtype=np.intp)
    assert (scene.quality(none).shape, scene.width(none).shape, scene.rotation(none).shape) == ((0,), (0,), (0, 4))


def test_a_label_teaches_the_voxel_whose_lower_corner_is_nearest() -> None:
    metres = torch.tensor([[[0.0, 0.0, 0.0], [0.1536, 0.1539, 0.004], [0.2999, 0.15, 0.2963]]])
    expected = [[0, 0, 0], [20, 21, 1], [39, 20, 39]]
    flat = nearest_voxels(metres / 0.3 - 0.5)[0]
    assert np.stack(np.unravel_index(flat.numpy(), (40, 40, 40)), axis=1).tolist() == expected

    model = with_random_weights(4)
    tsdf = torch.rand(2, 40, 40, 40)
    with torch.no_grad():
        quality, width, rotation = dense_reference(model, tsdf)
        prediction = model(tsdf, (metres / 0.3 - 0.5).expand(2, -1, -1), torch.empty(2, 0, 3))
    assert prediction.occupancy_logits is None
    for n, (x, y, z) in enumerate(expected):
        torch.testing.assert_close(prediction.grasps.quality_logits[:, n].sigmoid(), quality[:, x, y, z])
        torch.testing.assert_close(prediction.grasps.widths[:, n] * 40, width[:, x, y, z], atol=1e-4, rtol=0)
        torch.testing.assert_close(prediction.grasps.rotations[:, n], rotation[:, :, x, y, z], atol=1e-4, rtol=0)


def test_other_resolutions_are_refused_with_the_one_that_it_has() -> None:
    with pytest.raises(ValueError, match="ask it at resolution 40, not 60"):
        Vgn().scene(np.zeros((40, 40, 40), dtype=np.float32), 60)
    with pytest.raises(ValueError, match=re.escape("must be [B, 40, 40, 40], got (1, 60, 60, 60)")):
        Vgn().scene(np.zeros((60, 60, 60), dtype=np.float32), 40)
