"""SAM's image encoder for any image size, with outputs of inner blocks ("taps") and prompts before every block.

Source: facebookresearch/segment-anything (Apache-2.0), whose blocks are those of `rssam.sam.attention`, made faster.
What we do differently, and why:
- any height and width that are multiples of 16, where SAM is built for 1024 x 1024. The positional embedding and the
  relative-position tables of the global blocks are resampled once, when a checkpoint is loaded, as SAMed does. The
  global blocks are known by index; SAMed finds them by substring, which is wrong for ViT-L.
- outputs of inner blocks can be had, for the paper's F_early and for "layers 3, 6, 9, and 12" of Table 6. Prompts can
  be added before every block, for SAM Adapter and RSAM-Seg.
- it normalises its own input, and loading accepts neither a missing nor an unexpected tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from segment_anything.modeling.image_encoder import PatchEmbed
from torch import Tensor, nn

from rssam.contract import require_float
from rssam.sam.attention import ExactBlock
from rssam.sam.encoder_sizes import EncoderSize
from rssam.sam.layer_norm import LayerNorm2d

PATCH = 16
WINDOW = 14
EMBEDDING = 256
"""Channels of SAM's image embedding, and so of every decoder."""

Prompter = Callable[[Tensor, Tensor], Sequence[Tensor]]
"""Makes a prompt [B, H/16, W/16, width] for each block, from normalised pixels [B, 3, H, W] and patches like it."""

_PIXEL_MEAN = (123.675, 116.28, 103.53)  # of 0..255 images, as in SAM
_PIXEL_STD = (58.395, 57.12, 57.375)


class EncoderOutput(NamedTuple):
    """Maps [B, width, H/16, W/16] of the taps, and the neck's map [B, 256, H/16, W/16] if there is a neck."""

    taps: list[Tensor]
    neck: Tensor | None


def sam_neck(channels: int) -> nn.Sequential:
    """Return SAM's neck from `channels` to `EMBEDDING`, under SAM's parameter names."""
    return nn.Sequential(
        nn.Conv2d(channels, EMBEDDING, kernel_size=1, bias=False),
        LayerNorm2d(EMBEDDING),
        nn.Conv2d(EMBEDDING, EMBEDDING, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(EMBEDDING),
    )


class SamEncoder(nn.Module):
    """SAM's ViT for images of one size, under the parameter names of segment_anything's `ImageEncoderViT`."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, size: EncoderSize, image_size: tuple[int, int], neck: bool) -> None:
        super().__init__()
        if any(side % PATCH for side in image_size):
            raise ValueError(f"image size {image_size} is not a multiple of {PATCH}")
        self.size = size
        self.image_size = image_size
        grid = (image_size[0] // PATCH, image_size[1] // PATCH)

        self.patch_embed = PatchEmbed((PATCH, PATCH), (PATCH, PATCH), embed_dim=size.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, *grid, size.width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)  # SAM has zeros, meant to be loaded over; this is ViT's start
        self.blocks = nn.ModuleList(
            ExactBlock(
                dim=size.width,
                num_heads=size.heads,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=0 if index in size.global_blocks else WINDOW,
                input_size=grid,
            )
            for index in range(size.blocks)
        )
        self.neck = sam_neck(size.width) if neck else None
        self.register_buffer("pixel_mean", torch.tensor(_PIXEL_MEAN).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(_PIXEL_STD).view(3, 1, 1) / 255, persistent=False)

    def forward(self, images: Tensor, taps: Sequence[int] = (), prompter: Prompter | None = None) -> EncoderOutput:
        """Encode images [B, 3, H, W] in 0..1; `taps` are block indices, and their maps come in that order.

        A block's prompt from `prompter` is added to the tokens before that block. Raises TypeError for integers.
        """
        require_float(images)
        if images.shape[-2:] != self.image_size:
            raise ValueError(f"built for images of {self.image_size}, got {tuple(images.shape[-2:])}")
        pixels = (images - self.pixel_mean) / self.pixel_std
        x = self.patch_embed(pixels)  # [B, H/16, W/16, width]
        prompts = None if prompter is None else prompter(pixels, x)
        x = x + self.pos_embed
        tapped: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x if prompts is None else x + prompts[index])
            if index in taps:
                tapped[index] = x.permute(0, 3, 1, 2)  # [B, width, H/16, W/16]
        neck = None if self.neck is None else self.neck(x.permute(0, 3, 1, 2))  # [B, 256, H/16, W/16]
        return EncoderOutput([tapped[index] for index in taps], neck)
