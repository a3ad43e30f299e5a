"""MANet, the multi-attention network of Li et al. (TGRS 2021, "Multiattention Network for Semantic Segmentation of
Fine-Resolution Remote Sensing Images"). It is not `smp.MAnet`, which is Fan et al.'s of 2020 and four times as large.

Source: lironui/Multi-Attention-Network (no licence) and WangLibo1995/GeoSeg (MIT), one network, read for its facts.
The channel attention is DANet's (Fu et al., CVPR 2019), the decoder's blocks are LinkNet's.
What we do differently, and why:
- both attentions are computed in float32 under autocast. In float16 the normaliser of the kernel attention passes
  65,504 on an image of 512 x 512. Its inverse is zero, and the attention silently is none. In bfloat16 rounding decides
  which channels the channel attention takes for alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.backbone import ImageNetNormalise, load_backbone, resnet
from rssam.contract import Task
from rssam.sam.autocast import full_precision

_TAIL = 32
"""Channels of the two maps before the logits."""


class KernelAttention(nn.Module):
    """Attention among all positions at linear cost: softplus of queries and keys stands for the softmax."""

    def __init__(self, channels: int, reduction: int = 8, eps: float = 1e-6) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.key = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape, in float32."""
        query, key, value = self.query(x), self.key(x), self.value(x)  # [B, C/8, h, w] twice, [B, C, h, w]
        with full_precision(x.device):
            query = F.softplus(query.float().flatten(2))  # [B, C/8, h*w]
            key = F.softplus(key.float().flatten(2))  # [B, C/8, h*w]
            memory = value.float().flatten(2) @ key.transpose(1, 2)  # [B, C, C/8]
            total = (key.sum(dim=2) + self.eps).unsqueeze(1)  # [B, 1, C/8]
            attended = (memory @ query) / (total @ query)  # [B, C, h*w] / [B, 1, h*w]
            out: Tensor = x.float() + self.gamma * attended.view(x.shape)
            return out


class ChannelAttention(nn.Module):
    """Attention among channels, to those least alike: the softmax is over the distance from the closest."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape, in float32."""
        with full_precision(x.device):
            channels = x.float().flatten(2)  # [B, C, h*w]
            likeness = channels @ channels.transpose(1, 2)  # [B, C, C]
            distance = likeness.amax(dim=2, keepdim=True) - likeness
            attended = distance.softmax(dim=2) @ channels  # [B, C, h*w]
            return x.float() + self.gamma * attended.view(x.shape)


class Attention(nn.Module):
    """Sum of both attentions; each adds to its input, so that at the start this is twice the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.position = KernelAttention(channels)
        self.channel = ChannelAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape, in float32."""
        attended: Tensor = self.position(x) + self.channel(x)
        return attended


def up(channels: int, out_channels: int) -> nn.Sequential:
    """Return LinkNet's decoder block: a quarter of the channels, height and width doubled, then `out_channels`."""
    width = channels // 4
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width, kernel_size=3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, out_channels, kernel_size=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class MANet(nn.Module):
    """U of four strides, 4 to 32, with attention on every map before it goes down or across.

    `widths` are the backbone's channels from stride 4 to stride 32.
    """

    def __init__(self, normalise: nn.Module, backbone: nn.Module, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone
        self.attention = nn.ModuleList(Attention(width) for width in widths)
        self.ups = nn.ModuleList(up(width, finer) for finer, width in pairwise(widths))
        self.last_up = up(widths[0], widths[0])
        self.tail = nn.Sequential(
            nn.ConvTranspose2d(widths[0], _TAIL, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_TAIL, _TAIL, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_TAIL, channels, kernel_size=3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        maps = self.backbone(self.normalise(images))  # [B, C_i, H/4, W/4] to [B, C_i, H/32, W/32]
        *skips, x = (attend(features) for attend, features in zip(self.attention, maps, strict=True))
        for climb, skip in zip(reversed(self.ups), reversed(skips), strict=True):
            x = climb(x) + skip  # [B, C_i, H/16, W/16], then H/8, then H/4
        x = self.last_up(x)  # [B, C_0, H/2, W/2]
        logits: Tensor = self.tail(x).float()  # [B, channels, H, W]
        return logits


def architecture(task: Task, *, backbone: str) -> MANet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    layers = resnet(backbone)
    return MANet(ImageNetNormalise(), layers, layers.feature_info.channels(), task.channels)


def load(net: MANet, path: Path) -> None:
    """Start the backbone from its prepared ImageNet weights."""
    load_backbone(net.backbone, path, dropped=("fc.",))
