"""U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", arXiv:1505.04597).

Source: milesial/Pytorch-UNet (GPL-3.0), the most used public code, read for its facts. It differs from the paper's
network in padded convolutions, so that the output has the input's size, and in batch norm.
What we do differently, and why:
- ImageNet's mean and deviation, where the source only divides by 255. RS-SAM's paper says that pixels are normalised,
  and all systems then see the same input.
- transposed convolutions, the source's default and the paper's "up-convolution"; not its bilinear option, a network of
  little more than half the size.
- no padding before a skip is joined: image sides are multiples of 32, so the two maps always meet.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from baselines.backbone import ImageNetNormalise
from rssam.contract import Task

_LEVELS = 5  # strides 1, 2, 4, 8, 16


class UNet(nn.Module):
    """Down and up again: at each level two convolutions, on the way up beside the map that came down."""

    def __init__(self, downs: list[nn.Module], ups: list[UpLevel], head: nn.Module) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.downs = nn.ModuleList(downs)
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList(ups)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        x = self.downs[0](self.normalise(images))  # [B, width, H, W]
        skips = []
        for down in self.downs[1:]:
            skips.append(x)
            x = down(self.pool(x))  # half the size, twice the channels; at last [B, 16 width, H/16, W/16]
        for up in self.ups:
            x = up(x, skips.pop())  # twice the size, half the channels; at last [B, width, H, W]
        logits: Tensor = self.head(x)  # [B, channels, H, W]
        return logits.float()


class UpLevel(nn.Module):
    """From `channels` to half as many at twice the size, seeing the skip of that size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels // 2, kernel_size=2, stride=2)
        self.convs = two_convs(channels, channels // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join x [B, C, h, w] to skip [B, C/2, 2h, 2w]; return [B, C/2, 2h, 2w]."""
        x = torch.cat((skip, self.up(x)), dim=1)  # [B, C, 2h, 2w]
        joined: Tensor = self.convs(x)  # [B, C/2, 2h, 2w]
        return joined


def two_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return 3x3 convolution, batch norm and ReLU, twice."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def architecture(task: Task, *, width: int) -> UNet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    widths = [width * 2**level for level in range(_LEVELS)]
    downs = [two_convs(before, after) for before, after in pairwise([3, *widths])]
    ups = [UpLevel(channels) for channels in reversed(widths[1:])]
    return UNet([*downs], ups, nn.Conv2d(width, task.channels, kernel_size=1))
