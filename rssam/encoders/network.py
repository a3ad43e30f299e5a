"""The networks of the declared encoders: timm's for all but SAM's own, at any image size, with maps of inner blocks.

Source: timm (Apache-2.0), whose ViTs and Hiera are used as they are, under their parameter names.
What we do differently, and why:
- a ViT is built for the size of the images. Its position embedding is resampled once, when weights are loaded; timm
  would resample it in every forward pass. Hiera's is made for 7 x 7 and resampled by timm itself.
- maps pass the ViT's last norm, as in DINOv3's own dense tasks: the channels of inner blocks differ a hundredfold.
- it normalises its own input, and loading accepts neither a missing nor an unexpected tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from rssam.contract import require_float
from rssam.encoders.declared import SAM, Encoder
from rssam.sam.encoder import PATCH, EncoderOutput, SamEncoder
from rssam.sam.encoder_sizes import ENCODERS as SAM_ENCODERS
from rssam.sam.loading import encoder_state, load_exactly, load_weights

_HEAD = "head."
"""Beginning of the names of a classifier's last layers, which no encoder takes."""


class TimmEncoder(nn.Module):
    """An encoder of timm for images of one size; it is called as `SamEncoder` is, and has no neck."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, declared: Encoder, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.declared = declared
        self.image_size = image_size
        options: dict[str, Any] = {"embed_dim": declared.width, "num_heads": declared.heads, "num_classes": 0}
        if declared.stages:
            options |= {"stages": declared.stages, "global_att_blocks": declared.global_blocks}
        else:
            options |= {"depth": declared.blocks, "img_size": image_size, "dynamic_img_size": False, "global_pool": ""}
        self.net: Any = timm.create_model(declared.network, pretrained=False, **options)
        if declared.stages:
            self.net.head = nn.Identity()  # its norm has no place before the map of the last stage
        self.taken: dict[str, Any] = {"coarse": False} if declared.stages else {"norm": True}
        mean, std = declared.normalisation
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor, taps: Sequence[int]) -> EncoderOutput:
        """Encode images [B, 3, H, W] in 0..1; `taps` are block indices, and their maps come in that order.

        Raises TypeError for integers.
        """
        require_float(images)
        if images.shape[-2:] != self.image_size:
            raise ValueError(f"built for images of {self.image_size}, got {tuple(images.shape[-2:])}")
        pixels = (images - self.pixel_mean) / self.pixel_std
        blocks = sorted(set(taps))
        maps = self.net.forward_intermediates(
            pixels, indices=blocks, output_fmt="NCHW", intermediates_only=True, **self.taken
        )
        found = dict(zip(blocks, maps, strict=True))  # each [B, width, H/16, W/16]; of a stage its width and stride
        return EncoderOutput([found[index] for index in taps], None)


def make_encoder(declared: Encoder, image_size: tuple[int, int]) -> SamEncoder | TimmEncoder:
    """Return the encoder with random parameters, for images of that height and width; also for the meta device."""
    if declared.network == SAM:
        return SamEncoder(SAM_ENCODERS[declared.name], image_size, neck=False)
    return TimmEncoder(declared, image_size)


def load_encoder(encoder: SamEncoder | TimmEncoder, path: Path, fresh: Collection[str] = ()) -> None:
    """Start from the prepared weights at `path`; parameters named in `fresh` keep their random start.

    Raises WeightsDamaged on a missing or unexpected name, or another shape.
    """
    tensors = load_weights(path)
    if isinstance(encoder, SamEncoder):
        state = encoder_state(tensors, encoder.size, encoder.image_size)
        state = {name: tensor for name, tensor in state.items() if not name.startswith("neck.")}
    else:
        state = {f"net.{name}": tensor for name, tensor in tensors.items() if not name.startswith(_HEAD)}
        if not encoder.declared.stages and "net.pos_embed" in state:
            state["net.pos_embed"] = _resampled(state["net.pos_embed"], encoder)
    load_exactly(encoder, state, fresh, weights=path.stem)


def _resampled(table: Tensor, encoder: TimmEncoder) -> Tensor:
    """Return a position embedding [1, prefix + N, width] of a square for the grid of the encoder's images."""
    prefix = encoder.net.num_prefix_tokens
    height, width = (side // PATCH for side in encoder.image_size)
    resampled: Tensor = resample_abs_pos_embed(table, [height, width], num_prefix_tokens=prefix)
    return resampled
