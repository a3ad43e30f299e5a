"""SegNet (Badrinarayanan, Kendall and Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", arXiv:1511.00561). It is VGG16 without its classifier, and a mirror of it that unpools with VGG's
indices.

Source: alexgkendall/SegNet-Tutorial (CC-BY-NC-4.0), the authors' Caffe net, read for its facts: layer table, biases in
front of batch norm, He's start. The weights of the encoder are torchvision's VGG16 with batch norm (BSD-3-Clause).
What we do differently, and why:
- ImageNet's mean and deviation for the input; the authors' net takes pixels as they are.
- the encoder starts from VGG16 with batch norm; the authors started from VGG16 without it.
- batch norm keeps running averages, where the authors compute its statistics in a script of their own after training.
- one logit for a binary task, where the authors advise two outputs; the loss is the same for all systems.
- the last convolution is bare, as the authors'. The PyTorch code most copied (meetps/pytorch-semseg) ends in batch norm
  and ReLU: no logit is ever negative, and every pixel becomes foreground.
- values are unpooled by scatter: the same map as PyTorch's `max_unpool2d`, which has no deterministic form.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.backbone import ImageNetNormalise, load_backbone
from rssam.contract import Task

_STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Channels of VGG16's convolutions, stage by stage, in multiples of the width; each stage ends in a pooling."""


class SegNet(nn.Module):
    """Encoder that remembers where each maximum was, and a decoder that puts it back there."""

    def __init__(self, encoder: nn.Sequential, decoder: list[nn.Sequential]) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.encoder = encoder
        self.decoder = nn.ModuleList(decoder)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        x: Tensor = self.normalise(images)
        pooled = []
        for layer in self.encoder:
            if isinstance(layer, nn.MaxPool2d):
                size = x.shape[-2:]
                x, indices = layer(x)  # half the size; at last [B, 8 width, H/32, W/32]
                pooled.append((indices, size))
            else:
                x = layer(x)
        for stage in self.decoder:
            x = stage(unpool(x, *pooled.pop()))  # twice the size; at last [B, channels, H, W]
        return x.float()


def unpool(x: Tensor, indices: Tensor, size: torch.Size) -> Tensor:
    """Put the values of x [B, C, h, w] where their maxima were in maps of `size` (height, width), zero elsewhere.

    `indices` [B, C, h, w] are those of max-pooling: row * width + column.
    """
    flat = x.new_zeros((*x.shape[:2], size.numel()))  # [B, C, height * width]
    flat = flat.scatter(2, indices.flatten(2), x.flatten(2))
    return flat.view(*x.shape[:2], *size)  # [B, C, height, width]


def conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution as in the authors' net: with a bias, from He's normal distribution."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # there is one
    return layer


def unit(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Return convolution, batch norm and ReLU, in VGG's order."""
    return [conv(in_channels, out_channels), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def vgg16_encoder(width: int) -> nn.Sequential:
    """Return VGG16 with batch norm up to its last pooling, under torchvision's names ("0.weight", "1.weight", ...)."""
    layers: list[nn.Module] = []
    channels = 3
    for stage in _STAGES:
        for multiple in stage:
            layers += unit(channels, multiple * width)
            channels = multiple * width
        layers.append(nn.MaxPool2d(2, return_indices=True))
    return nn.Sequential(*layers)


def mirrored_decoder(width: int, out_channels: int) -> list[nn.Sequential]:
    """Return a mirror of each stage, from the last to the first; its last convolution leads to the stage before."""
    stages = []
    for index in reversed(range(1, len(_STAGES))):
        channels = [multiple * width for multiple in _STAGES[index]]
        before = _STAGES[index - 1][-1] * width
        pairs = zip(channels, [*channels[1:], before], strict=True)
        stages.append(nn.Sequential(*(layer for pair in pairs for layer in unit(*pair))))
    return [*stages, nn.Sequential(*unit(width, width), conv(width, out_channels))]


def architecture(task: Task, *, width: int) -> SegNet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    return SegNet(vgg16_encoder(width), mirrored_decoder(width, task.channels))


def load(net: SegNet, path: Path) -> None:
    """Start the encoder from its prepared ImageNet weights."""
    load_backbone(net.encoder, path, dropped=("classifier.",), prefix="features.")
