"""The encoder for one scene at a time, several milliseconds cheaper than `Giga.encode` and to the same planes.

Most of a TSDF is exactly 0, above all the air over the objects. There the first convolution yields its bias, so it runs
only on the box that holds all other values; the plane means add what the rest of the cube contributes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from giga_perception.network import PLANE_AXES, PLANE_CHANNELS, Giga
from giga_perception.scene_query import FloatArray


@torch.no_grad()
def encode_scene(model: Giga, tsdf: FloatArray) -> Tensor:
    """Feature planes [3, C, R, R] of one TSDF [R, R, R]: what `model.encode` gives, without gradients."""
    planes = _plane_means(model, torch.from_numpy(tsdf).to(model.encoder.conv_in.weight.device))
    # With channels last, the U-Net's convolutions need no other layout in between.
    refined: Tensor = model.encoder.unet(planes.contiguous(memory_format=torch.channels_last))
    return refined.contiguous()


def _plane_means(model: Giga, tsdf: Tensor) -> Tensor:
    """relu(conv_in(tsdf)) and its means along the axis that each plane drops: [3, C, second, first]."""
    resolution = tsdf.shape[0]
    empty = functional.relu(model.encoder.conv_in.get_parameter("bias"))
    planes = empty.view(1, PLANE_CHANNELS, 1, 1).repeat(len(PLANE_AXES), 1, resolution, resolution)
    box = _box_of_content(tsdf)
    if box is None:
        return planes
    # Around the box there are zeros, or the cube ends: either way the convolution's own padding is right.
    features = functional.relu_(model.encoder.conv_in(tsdf[box][None, None])[0])
    for plane, (first, second) in zip(planes, PLANE_AXES, strict=True):
        dropped = 3 - first - second
        outside = resolution - features.shape[1 + dropped]
        mean = (features.sum(dim=1 + dropped) + outside * empty.view(-1, 1, 1)) / resolution
        # The sum leaves [C, first, second].
        plane[:, box[second], box[first]] = mean.transpose(1, 2)
    return planes


def _box_of_content(tsdf: Tensor) -> tuple[slice, slice, slice] | None:
    """The smallest box that holds every voxel whose features differ from an empty one's; None for an empty TSDF."""
    slices = []
    content = tsdf != 0
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        layers = content.any(dim=others[1]).any(dim=others[0]).nonzero()
        if len(layers) == 0:
            return None
        # The convolution reaches one voxel beyond.
        slices.append(slice(max(int(layers[0]) - 1, 0), min(int(layers[-1]) + 2, tsdf.shape[axis])))
    return slices[0], slices[1], slices[2]
