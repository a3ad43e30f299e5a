"""SAM's image encoder at any image size, with taps after chosen blocks, and strict loading of SAM's checkpoint.

Source: facebookresearch/segment-anything (Apache-2.0), whose blocks are those of `rssam.sam.attention`, made faster.
What we do differently, and why:
- any height and width that are multiples of 16, where SAM is built for 1024 x 1024: the positional embedding and the
  relative-position tables of the global blocks are resampled when a checkpoint is loaded, once, as SAMed does. The
  global blocks are known by index; SAMed finds them by substring, which is wrong for ViT-L.
- outputs of inner blocks can be had, for the paper's F_early and for "layers 3, 6, 9, and 12" of Table 6; prompts can
  be added before every block, for SAM Adapter and RSAM-Seg.
- it normalises its own input, and loading accepts neither a missing nor an unexpected tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import PatchEmbed
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.config import ENCODERS, EncoderSize
from rssam.sam.attention import ExactBlock
from rssam.weights.convert import WeightsDamaged, encoder_shape

PATCH = 16
WINDOW = 14
EMBEDDING = 256
"""Channels of SAM's image embedding, and so of every decoder."""

Prompter = Callable[[Tensor, Tensor], Sequence[Tensor]]
"""Makes prompts [B, H/16, W/16, width], one a block, of normalised pixels [B, 3, H, W] and patches like the prompts."""

_PIXEL_MEAN = (123.675, 116.28, 103.53)  # of 0..255 images, as in SAM
_PIXEL_STD = (58.395, 57.12, 57.375)

__all__ = [
    "EMBEDDING",
    "ENCODERS",
    "Encoded",
    "EncoderSize",
    "Prompter",
    "SamEncoder",
    "checkpoint_part",
    "encoder_state",
    "load_exactly",
    "load_weights",
    "sam_neck",
]


class Encoded(NamedTuple):
    """What the encoder gives: a map [B, width, H/16, W/16] a tap, and the neck's [B, 256, H/16, W/16] if it has one."""

    taps: list[Tensor]
    neck: Tensor | None


def sam_neck(channels: int, out_channels: int = EMBEDDING) -> nn.Sequential:
    """SAM's neck from `channels` to `out_channels`, under SAM's parameter names."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel_size=1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(out_channels),
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

    def forward(self, images: Tensor, taps: Sequence[int] = (), prompter: Prompter | None = None) -> Encoded:
        """Encode images [B, 3, H, W] in 0..1; `taps` are block indices, and their maps come in that order.

        A block's prompt from `prompter` is added to the tokens before that block.
        """
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
        return Encoded([tapped[index] for index in taps], neck)


def load_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a prepared checkpoint, on the CPU. Raises WeightsDamaged if it cannot be read."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsDamaged(
            f"{path} is not a readable safetensors file: delete it and prepare the weights again"
        ) from error


def checkpoint_part(checkpoint: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it. Raises WeightsDamaged if there are none."""
    part = {name.removeprefix(prefix): tensor for name, tensor in checkpoint.items() if name.startswith(prefix)}
    if not part:
        raise WeightsDamaged(f"expected tensors named {prefix}* in the SAM checkpoint, found none: prepare it again")
    return part


def encoder_state(
    checkpoint: Mapping[str, Tensor], size: EncoderSize, image_size: tuple[int, int]
) -> dict[str, Tensor]:
    """SAM's encoder tensors, neck included, resampled to `image_size` (height, width).

    Raises WeightsDamaged unless names and shapes are those of `size`; only `pos_embed` and the relative-position
    tables of the global blocks may have another length.
    """
    state = checkpoint_part(checkpoint, "image_encoder.")
    with torch.device("meta"):
        expected = SamEncoder(size, image_size, neck=True).state_dict()
    found = encoder_shape(checkpoint)
    if found != (size.width, size.blocks):
        raise WeightsDamaged(
            f"expected a {size.name} checkpoint ({size.width} wide, {size.blocks} blocks), "
            f"found {'no image encoder' if found is None else f'{found[0]} wide, {found[1]} blocks'}: "
            f"run rssam-bench prepare weights {size.name}"
        )
    _require_names(expected.keys(), state.keys(), f"a {size.name} image encoder")

    height, width = image_size[0] // PATCH, image_size[1] // PATCH
    state["pos_embed"] = resample_pos_embed(state["pos_embed"], (height, width))
    for index in size.global_blocks:
        for axis, length in (("h", 2 * height - 1), ("w", 2 * width - 1)):
            name = f"blocks.{index}.attn.rel_pos_{axis}"
            state[name] = resample_rel_pos(state[name], length)

    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsDamaged(
                f"expected image_encoder.{name} of shape {tuple(expected[name].shape)} for {size.name}, "
                f"found {tuple(tensor.shape)}: prepare the weights again"
            )
    return state


def resample_pos_embed(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Positional embedding [1, h, w, width] on another grid, bilinear with pixel centres aligned (as SAMed)."""
    if table.shape[1:3] == grid:
        return table
    image = table.permute(0, 3, 1, 2)  # [1, width, h, w]
    image = F.interpolate(image, grid, mode="bilinear", align_corners=False, antialias=False)
    return image.permute(0, 2, 3, 1).contiguous()  # [1, *grid, width]


def resample_rel_pos(table: Tensor, length: int) -> Tensor:
    """Relative-position table [2n - 1, head width] with `length` rows, linear (as segment_anything's get_rel_pos)."""
    if table.shape[0] == length:
        return table
    line = F.interpolate(table.T[None], length, mode="linear", align_corners=False)  # [1, head width, length]
    return line[0].T.contiguous()


def load_exactly(module: nn.Module, state: Mapping[str, Tensor], fresh: Collection[str] = ()) -> None:
    """Load `state` into `module`; every name must match, but for those in `fresh`, which keep their random start.

    Raises WeightsDamaged on a missing or unexpected name or another shape, and ValueError if a name in `fresh` is not
    one of the module's, so that the list cannot go stale.
    """
    own = module.state_dict()
    if stale := sorted(set(fresh) - own.keys()):
        raise ValueError(f"not parameters of {type(module).__name__}: {', '.join(stale)}")
    _require_names(own.keys() - set(fresh), state.keys(), type(module).__name__)
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise WeightsDamaged(
                f"expected {name} of shape {tuple(own[name].shape)} for {type(module).__name__}, "
                f"found {tuple(tensor.shape)} in the checkpoint: prepare the weights again"
            )
    module.load_state_dict(dict(state), strict=False)


def _require_names(expected: Collection[str], found: Collection[str], owner: str) -> None:
    missing, unexpected = set(expected) - set(found), set(found) - set(expected)
    if missing or unexpected:
        raise WeightsDamaged(
            f"the checkpoint does not fit {owner}: missing {_some(missing)}; unexpected {_some(unexpected)}. "
            "Prepare the weights again"
        )


def _some(names: set[str]) -> str:
    """The first few names, so that the sentence stays one."""
    shown = ", ".join(sorted(names)[:3]) or "nothing"
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
