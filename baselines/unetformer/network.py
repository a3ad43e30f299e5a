"""UNetFormer (Wang et al., ISPRS 2022, "UNetFormer: A UNet-like transformer for efficient semantic segmentation of
remote sensing urban scene imagery").

Source: WangLibo1995/GeoSeg, geoseg/models/UNetFormer.py (MIT), read for its facts; ResNet and the relative position
bias are timm's (Apache-2.0).
The published weights, a semi-weakly supervised ResNet-18, are CC-BY-NC-4.0: not for commercial use.
What we do differently, and why:
- a map is filled up to whole windows by reflecting it as often as it takes. The public code reflects once, which fails
  where a map is smaller than a window, as on tiles of 64 pixels and crops of 128. PyTorch refuses the form of its
  padding of the width. Where one reflection is enough, this is the same.
- the auxiliary head always exists and is used through `training_outputs`. In the public code it exists if the network
  was built in training mode, which returns a tuple where evaluation returns logits.
Kept, though it looks odd: the norm between the two halves of a separable convolution. Kept too: PyTorch's own start of
every layer, because the public code's initialisation reaches none.
"""

from __future__ import annotations

from pathlib import Path

import torch
from timm.layers.pos_embed_rel import RelPosBias
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.backbone import ImageNetNormalise, load_backbone, resnet
from rssam.contract import Task

_WINDOW = 8
_HEADS = 8


def mirror(x: Tensor, dim: int, extra: int) -> Tensor:
    """Append `extra` elements at the end of `dim`, reflected back and forth like NumPy's `reflect`."""
    if extra == 0:
        return x
    length = x.shape[dim]
    period = max(2 * (length - 1), 1)
    position = torch.arange(length, length + extra, device=x.device) % period
    return torch.cat([x, x.index_select(dim, torch.minimum(position, period - position))], dim)


def conv_norm(channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Return a convolution that keeps height and width, and its norm."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def separable(channels: int, kernel_size: int) -> nn.Sequential:
    """Return a depth-wise and a point-wise convolution, the norm between them."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size, padding=(kernel_size - 1) // 2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, kernel_size=1, bias=False),
    )


class WindowAttention(nn.Module):
    """Self-attention inside windows of 8 x 8, with a bias for each relative position and head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = (channels // _HEADS) ** -0.5
        self.qkv = nn.Conv2d(channels, 3 * channels, kernel_size=1, bias=False)
        self.bias = RelPosBias((_WINDOW, _WINDOW), _HEADS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        height, width = x.shape[-2:]
        x = mirror(mirror(x, 2, -height % _WINDOW), 3, -width % _WINDOW)  # [B, C, h', w'], multiples of 8
        qkv = self.qkv(x)  # [B, 3C, h', w']
        qkv = qkv.unflatten(3, (-1, _WINDOW)).unflatten(2, (-1, _WINDOW)).unflatten(1, (3, _HEADS, -1))
        qkv = qkv.permute(1, 0, 4, 6, 2, 5, 7, 3).flatten(5, 6)  # [3, B, h'/8, w'/8, heads, 64, C/heads]
        query, key, value = qkv.unbind(0)
        weight = self.bias(self.scale * query @ key.transpose(-2, -1)).softmax(dim=-1)  # [B, ..., heads, 64, 64]
        out = (weight @ value).unflatten(4, (_WINDOW, _WINDOW))  # [B, h'/8, w'/8, heads, 8, 8, C/heads]
        out = out.permute(0, 3, 6, 1, 4, 2, 5).reshape(x.shape)  # [B, C, h', w']
        inside: Tensor = out[:, :, :height, :width]
        return inside


class GlobalLocalAttention(nn.Module):
    """Global branch, windows that a cross-shaped mean joins, and a local branch, two convolutions; then they are mixed.

    Mean and mixing reach over 8 positions, one more after a position than before it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        before = (_WINDOW - 1) // 2
        self.local3 = conv_norm(channels, channels, kernel_size=3)
        self.local1 = conv_norm(channels, channels, kernel_size=1)
        self.windows = WindowAttention(channels)
        self.mean_of_column = nn.AvgPool2d((_WINDOW, 1), stride=1, padding=(before, 0))
        self.mean_of_row = nn.AvgPool2d((1, _WINDOW), stride=1, padding=(0, before))
        self.mix = separable(channels, kernel_size=_WINDOW)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        local = self.local3(x) + self.local1(x)
        windows = self.windows(x)
        cross = self.mean_of_column(mirror(windows, 2, 1)) + self.mean_of_row(mirror(windows, 3, 1))
        extended = mirror(mirror(cross + local, 2, 1), 3, 1)  # [B, C, h + 1, w + 1]
        mixed: Tensor = self.mix(extended)  # [B, C, h, w]
        return mixed


class Block(nn.Module):
    """Global-local transformer block: attention and a perceptron, each behind a batch norm and with a residual."""

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attention = GlobalLocalAttention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, ratio * channels, kernel_size=1),
            nn.ReLU6(),
            nn.Conv2d(ratio * channels, channels, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        x = x + self.attention(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class WeightedFusion(nn.Module):
    """Map of the decoder at twice its size and a map of the backbone, added in learnt shares that sum to one."""

    def __init__(self, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(skip_channels, channels, kernel_size=1, bias=False)
        self.weights = nn.Parameter(torch.ones(2))
        self.smooth = nn.Sequential(conv_norm(channels, channels, kernel_size=3), nn.ReLU6())

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map [B, C, h, w] and [B, skip, 2h, 2w] to [B, C, 2h, 2w]."""
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)  # [B, C, 2h, 2w]
        weights = F.relu(self.weights)
        skip_share, x_share = weights / (weights.sum() + 1e-8)
        fused: Tensor = self.smooth(skip_share * self.project(skip) + x_share * x)
        return fused


class FeatureRefinement(nn.Module):
    """Refinement of the finest map, weighed pixel by pixel and channel by channel."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.pixel = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels), nn.Sigmoid()
        )
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, kernel_size=1, bias=False),
            nn.ReLU6(),
            nn.Conv2d(channels // reduction, channels, kernel_size=1, bias=False),
            nn.Sigmoid(),
        )
        self.mix = separable(channels, kernel_size=3)
        self.shortcut = conv_norm(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        weighed = self.pixel(x) * x + self.channel(x) * x
        return F.relu6(self.mix(weighed) + self.shortcut(x))


def head(width: int, channels: int, dropout: nn.Module) -> nn.Sequential:
    """Return the layers from a decoder map [B, width, h, w] to logits [B, channels, h, w]."""
    return nn.Sequential(
        conv_norm(width, width, kernel_size=3),
        nn.ReLU6(),
        dropout,
        nn.Conv2d(width, channels, kernel_size=1, bias=False),
    )


class UNetFormer(nn.Module):
    """Convolutional way down, and a way up of `width` channels with attention at strides 32, 16 and 8."""

    def __init__(self, normalise: nn.Module, backbone: nn.Module, skips: list[int], width: int, channels: int) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone
        self.project = conv_norm(skips[3], width, kernel_size=1)
        self.block32, self.block16, self.block8 = Block(width), Block(width), Block(width)
        self.fuse16, self.fuse8, self.fuse4 = (WeightedFusion(skip, width) for skip in reversed(skips[:3]))
        self.refine = FeatureRefinement(width)
        self.head = head(width, channels, nn.Dropout2d(0.1))
        self.auxiliary_head = head(width, channels, nn.Dropout(0.1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        fine, _ = self.features(images)
        return _resize(self.head(fine), images)

    def training_outputs(self, images: Tensor) -> list[tuple[float, Tensor]]:
        """Return the logits and those of the auxiliary head from all three blocks, with the weights of their losses."""
        fine, (deep, middle, shallow) = self.features(images)
        blocks = _enlarge(deep, 4) + _enlarge(middle, 2) + shallow  # [B, width, H/8, W/8]
        return [(1.0, _resize(self.head(fine), images)), (0.4, _resize(self.auxiliary_head(blocks), images))]

    def features(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the decoder's finest map [B, width, H/4, W/4], and its blocks' outputs at strides 32, 16 and 8."""
        stride4, stride8, stride16, stride32 = self.backbone(self.normalise(images))
        deep = self.block32(self.project(stride32))  # [B, width, H/32, W/32]
        middle = self.block16(self.fuse16(deep, stride16))  # [B, width, H/16, W/16]
        shallow = self.block8(self.fuse8(middle, stride8))  # [B, width, H/8, W/8]
        fine = self.refine(self.fuse4(shallow, stride4))  # [B, width, H/4, W/4]
        return fine, (deep, middle, shallow)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=True)


def _resize(logits: Tensor, images: Tensor) -> Tensor:
    """Resize logits [B, channels, h, w] to the images' size, in float32."""
    return F.interpolate(logits.float(), images.shape[-2:], mode="bilinear", align_corners=False)


def architecture(task: Task, *, backbone: str, width: int) -> UNetFormer:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    layers = resnet(backbone)
    return UNetFormer(ImageNetNormalise(), layers, layers.feature_info.channels(), width, task.channels)


def load(net: UNetFormer, path: Path) -> None:
    """Start the backbone from its prepared ImageNet weights."""
    load_backbone(net.backbone, path, dropped=("fc.",))
