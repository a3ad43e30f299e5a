"""TransUNet (Chen et al., "TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation",
arXiv:2102.04306). It is a ResNet, a ViT on its last map, and a U-Net decoder.

Source: Beckschen/TransUNet (Apache-2.0), read for its facts; ResNet and ViT blocks are timm's (Apache-2.0), imported.
What we do differently, and why:
- the ResNet is that of timm's `vit_base_r50_s16_224`, which computes what the published weights were trained to.
  TransUNet's own pads its strided convolutions on both sides and its max-pooling not at all. So its maps at stride 4
  end one pixel early and are filled up with zeros. It normalises the shortcuts per channel instead of in 32 groups. The
  parameters are as many.
- the weights are timm's copy of Google's (ImageNet-21k), because the link to the `.npz` is dead. Pixels are normalised
  to -1..1, as they were trained with; TransUNet gives its CT slices as 0..1.
- a patch is one pixel of the map at stride 16, at any size and for oblong images. The original derives patches from a
  grid set by hand. Its default of 16 x 16 makes patches of 2 x 2 at 512 pixels, which no longer fit the skips.
- sizes are frozen values. The original changes its shared configuration while it builds.
- a random start is timm's for a ViT, with a random position embedding; TransUNet's is zero, meant to be loaded over.

As in the original, training drops 0.1 after the position embedding and after both layers of each MLP. None is dropped
in the attention. Two forward passes in train mode differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from timm.layers.norm_act import GroupNormAct
from timm.layers.std_conv import StdConv2dSame
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import Block, init_weights_vit_timm
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.backbone import ImageNetNormalise
from rssam.contract import Task
from rssam.sam.loading import load_exactly, load_weights
from rssam.weights.folder import WeightsDamaged, prepare_again


@dataclass(frozen=True)
class Size:
    """Widths and depths of the network."""

    stem: int  # channels of the ResNet at stride 2; its stages have 4, 8 and 16 times as many
    blocks: tuple[int, int, int]  # bottlenecks at strides 4, 8, 16
    groups: int  # of the ResNet's group norms
    hidden: int  # width of the ViT
    layers: int
    heads: int
    mlp: int
    decoder: tuple[int, int, int, int, int]  # channels at strides 16, 8, 4, 2, 1


SIZES: dict[str, Size] = {
    "base": Size(
        stem=64,
        blocks=(3, 4, 9),
        groups=32,
        hidden=768,
        layers=12,
        heads=12,
        mlp=3072,
        decoder=(512, 256, 128, 64, 16),
    ),
    "tiny": Size(
        stem=16,
        blocks=(1, 1, 1),
        groups=8,
        hidden=96,
        layers=2,
        heads=3,
        mlp=384,
        decoder=(128, 64, 32, 16, 4),
    ),
}

_WEIGHTS = "r50_vit_b16"  # for the size "base"
_STRIDE = 16  # of the ViT's map
_DROPOUT = 0.1
_MEND = prepare_again(_WEIGHTS)
_DROPPED = ("cls_token", "head.")  # parts of the published classifier that this network does not have
_MAY_BE_DROPPED = ("pre_logits.",)  # a layer before the head that timm no longer has


def _resnet(size: Size) -> ResNetV2:
    """Return timm's ResNet of `vit_base_r50_s16_224`: strides 4, 8, 16; activation after the sum, TF padding."""
    return ResNetV2(
        layers=list(size.blocks),
        channels=(4 * size.stem, 8 * size.stem, 16 * size.stem),
        stem_chs=size.stem,
        num_classes=0,
        global_pool="",
        preact=False,
        stem_type="same",
        conv_layer=partial(StdConv2dSame, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=size.groups),
        zero_init_last=False,
    )


def _block(size: Size) -> Block:
    """Return a layer of the ViT with dropout in its MLP alone; timm's has it after the attention too."""
    block = Block(
        size.hidden,
        size.heads,
        mlp_ratio=size.mlp / size.hidden,
        qkv_bias=True,
        proj_drop=_DROPOUT,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),  # type: ignore[arg-type]  # timm's own models pass it too
    )
    block.attn.proj_drop = nn.Dropout(0.0)
    return block


class ConvPatches(nn.Module):
    """ResNet and the projection of its last map, under timm's parameter names."""

    def __init__(self, backbone: ResNetV2, hidden: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.proj = nn.Conv2d(backbone.num_features, hidden, kernel_size=1)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return patches [B, hidden, H/16, W/16] of normalised images, and maps at strides 8, 4, 2 for the decoder."""
        stem, stages = self.backbone.stem, self.backbone.stages
        half = stem[:-1](images)  # [B, stem, H/2, W/2]
        quarter = stages[0](stem[-1](half))  # pooled first; [B, 4 stem, H/4, W/4]
        eighth = stages[1](quarter)  # [B, 8 stem, H/8, W/8]
        sixteenth = stages[2](eighth)  # [B, 16 stem, H/16, W/16]
        return self.proj(sixteenth), [eighth, quarter, half]


class HybridEncoder(nn.Module):
    """ResNet and ViT without a class token for images of one size, under timm's parameter names."""

    def __init__(self, size: Size, image_size: tuple[int, int]) -> None:
        super().__init__()
        if any(side % _STRIDE for side in image_size):
            raise ValueError(f"image size {image_size} is not a multiple of {_STRIDE}")
        self.image_size = image_size
        self.grid = (image_size[0] // _STRIDE, image_size[1] // _STRIDE)
        self.patch_embed = ConvPatches(_resnet(size), size.hidden)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], size.hidden))
        self.pos_drop = nn.Dropout(_DROPOUT)
        self.blocks = nn.Sequential(*(_block(size) for _ in range(size.layers)))
        self.norm = nn.LayerNorm(size.hidden, eps=1e-6)

        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks.apply(init_weights_vit_timm)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the ViT's map [B, hidden, H/16, W/16] of normalised images, and the ResNet's at strides 8, 4, 2."""
        if images.shape[-2:] != self.image_size:
            raise ValueError(f"built for images of {self.image_size}, got {tuple(images.shape[-2:])}")
        patches, skips = self.patch_embed(images)
        tokens = patches.flatten(2).transpose(1, 2)  # [B, H/16 * W/16, hidden]
        tokens = self.pos_drop(tokens + self.pos_embed)
        tokens = self.norm(self.blocks(tokens))
        return tokens.transpose(1, 2).reshape(patches.shape), skips  # [B, hidden, H/16, W/16]


def _conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Decoder(nn.Module):
    """Cascaded upsampler: a convolution at stride 16, then twice as large four times, the first three with a skip.

    `channels` are those at strides 16, 8, 4, 2, 1, `skips` those of the maps at strides 8, 4, 2.
    """

    def __init__(self, hidden: int, channels: Sequence[int], skips: Sequence[int]) -> None:
        super().__init__()
        self.first = _conv(hidden, channels[0])
        self.levels = nn.ModuleList(
            nn.Sequential(_conv(coarser + skip, width), _conv(width, width))
            for coarser, skip, width in zip(channels[:-1], [*skips, 0], channels[1:], strict=True)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Map [B, hidden, H/16, W/16] and the skips to features [B, channels[4], H, W]."""
        x = self.first(x)  # [B, channels[0], H/16, W/16]
        for index, level in enumerate(self.levels):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)  # aligned as in the original
            if index < len(skips):
                x = torch.cat([x, skips[index]], dim=1)
            x = level(x)  # [B, channels[index + 1], twice as high, twice as wide]
        return x


class TransUNet(nn.Module):
    """Encoder, decoder and a convolution to the logits, at the images' resolution."""

    def __init__(self, encoder: HybridEncoder, decoder: Decoder, head: nn.Conv2d) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        self.encoder = encoder
        self.decoder = decoder
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        x, skips = self.encoder(self.normalise(images))  # [B, hidden, H/16, W/16]
        x = self.decoder(x, skips)  # [B, 16, H, W]
        logits: Tensor = self.head(x)  # [B, channels, H, W]
        return logits.float()


def architecture(task: Task, *, size: str) -> TransUNet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    widths = SIZES[size]
    encoder = HybridEncoder(widths, task.image_size)
    decoder = Decoder(widths.hidden, widths.decoder, skips=(8 * widths.stem, 4 * widths.stem, widths.stem))
    return TransUNet(encoder, decoder, nn.Conv2d(widths.decoder[-1], task.channels, kernel_size=3, padding=1))


def resample_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample a position embedding [1, n * n, hidden] of a square grid to a grid, bilinear with corners aligned.

    That is TransUNet's way (scipy's zoom of order 1), so that it starts where the original does; timm's is bicubic.
    """
    side = round(table.shape[1] ** 0.5)
    if (side, side) == grid:
        return table
    image = table.transpose(1, 2).reshape(1, -1, side, side)  # [1, hidden, n, n]
    image = F.interpolate(image, grid, mode="bilinear", align_corners=True)  # [1, hidden, *grid]
    return image.flatten(2).transpose(1, 2).contiguous()  # [1, grid[0] * grid[1], hidden]


def load_pretrained(net: TransUNet, checkpoint: Mapping[str, Tensor]) -> None:
    """Start ResNet, patch embedding and ViT from timm's classifier, without its class token and head.

    Raises WeightsDamaged if one of those, or any other tensor, is missing, unexpected or of another shape.
    """
    for prefix in (*_DROPPED, "pos_embed"):
        if not any(name.startswith(prefix) for name in checkpoint):
            raise WeightsDamaged(f"expected tensors named {prefix}* in the checkpoint, found none. Run: {_MEND}")
    state = {name: tensor for name, tensor in checkpoint.items() if not name.startswith((*_DROPPED, *_MAY_BE_DROPPED))}
    table = state["pos_embed"]
    patches = table.shape[1] - 1 if table.ndim == 3 else 0  # the first position is the class token's
    if patches < 1 or round(patches**0.5) ** 2 != patches:
        raise WeightsDamaged(
            f"expected pos_embed for a class token and a square grid, found shape {tuple(table.shape)}. Run: {_MEND}"
        )
    state["pos_embed"] = resample_positions(table[:, 1:], net.encoder.grid)
    load_exactly(net.encoder, state, weights=_WEIGHTS)


def load(net: TransUNet, path: Path) -> None:
    """Start from the prepared weights, see `load_pretrained`."""
    load_pretrained(net, load_weights(path))
