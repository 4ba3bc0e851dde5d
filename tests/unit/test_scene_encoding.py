"""The encoder for one scene gives the planes of the plain one, wherever in the cube the content lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from giga_perception.network import Giga
from giga_perception.scene_encoding import encode_scene


@pytest.mark.parametrize(
    "content",
    [
        (slice(0, 40), slice(0, 40), slice(0, 40)),
        (slice(5, 20), slice(11, 12), slice(3, 30)),
        (slice(0, 3), slice(37, 40), slice(39, 40)),
        (slice(0, 0), slice(0, 0), slice(0, 0)),
    ],
    ids=["everywhere", "inside", "in a corner", "nowhere"],
)
def test_planes_are_those_of_the_plain_encoder(content: tuple[slice, slice, slice]) -> None:
    torch.manual_seed(1)
    model = Giga().eval()
    tsdf = np.zeros((40, 40, 40), dtype=np.float32)
    tsdf[content] = np.random.default_rng(2).random(tsdf[content].shape, dtype=np.float32)
    with torch.no_grad():
        plain = model.encode(torch.from_numpy(tsdf)[None])[0]
    planes = encode_scene(model, tsdf)
    assert planes.shape == (3, 32, 40, 40)
    torch.testing.assert_close(planes, plain, atol=1e-5, rtol=0)
