"""The U-Net that refines a feature plane: three levels, max-pooling, transposed convolutions, no normalisation.

Layer names follow the authors' released code, so that their weights load unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class UNet(nn.Module):
    """Images [B, C, H, W] -> [B, C, H, W], H and W multiples of 4; the levels have C, 2 C and 4 C channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 2 * channels, 4 * channels)
        self.down_convs = nn.ModuleList(
            [DoubleConv(before, after) for before, after in zip((channels, *widths[:-1]), widths, strict=True)]
        )
        self.up_convs = nn.ModuleList([UpConv(widths[2], widths[1]), UpConv(widths[1], widths[0])])
        self.conv_final = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, down in enumerate(self.down_convs):
            if level > 0:
                image = functional.max_pool2d(image, 2)
            image = down(image)
            skips.append(image)
        for up, skip in zip(self.up_convs, reversed(skips[:-1]), strict=True):
            image = up(image, skip)
        result: Tensor = self.conv_final(image)
        return result


class DoubleConv(nn.Module):
    """Two 3 x 3 convolutions, each with a ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(image))))


class UpConv(nn.Module):
    """Doubles the image, joins the skip connection behind it, then two 3 x 3 convolutions with ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.upconv = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2)
        self.conv1 = nn.Conv2d(2 * channels_out, channels_out, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1)

    def forward(self, image: Tensor, skip: Tensor) -> Tensor:
        joined = torch.cat((self.upconv(image), skip), dim=1)
        return functional.relu(self.conv2(functional.relu(self.conv1(joined))))
