"""Load SAM's checkpoint strictly, with its position tables resampled to the size of the images.

Source: facebookresearch/segment-anything (Apache-2.0); resampling as SAMed does it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.amounts import shortened
from rssam.sam.encoder import PATCH, SamEncoder
from rssam.sam.encoder_sizes import EncoderSize
from rssam.weights import layout
from rssam.weights.folder import WeightsDamaged, prepare_again


def load_weights(path: Path) -> dict[str, Tensor]:
    """Load all tensors of a prepared checkpoint to the CPU. Raises WeightsDamaged if it cannot be read."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsDamaged(
            f"{path} is not a readable safetensors file: prepare the weights again, with --source FILE if you have it"
        ) from error


def checkpoint_part(checkpoint: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix`, without it. Raises WeightsDamaged if there are none."""
    tensors = {name.removeprefix(prefix): tensor for name, tensor in checkpoint.items() if name.startswith(prefix)}
    if not tensors:
        raise WeightsDamaged(f"expected tensors named {prefix}* in the SAM checkpoint, found none: prepare it again")
    return tensors


def encoder_state(
    checkpoint: Mapping[str, Tensor], size: EncoderSize, image_size: tuple[int, int]
) -> dict[str, Tensor]:
    """Return SAM's encoder tensors, neck included, resampled to `image_size` (height, width).

    Raises WeightsDamaged unless names and shapes are those of `size`; only `pos_embed` and the relative-position
    tables of the global blocks may have another length.
    """
    state = checkpoint_part(checkpoint, "image_encoder.")
    shape = layout.encoder_shape({name: tuple(tensor.shape) for name, tensor in checkpoint.items()})
    if shape != (size.width, size.blocks):
        raise WeightsDamaged(
            f"expected a {size.name} checkpoint ({size.width} wide, {size.blocks} blocks), "
            f"found {'no image encoder' if shape is None else f'{shape[0]} wide, {shape[1]} blocks'}: "
            f"run rssam-bench prepare weights {size.name}"
        )
    height, width = image_size[0] // PATCH, image_size[1] // PATCH
    tables = [f"blocks.{index}.attn.rel_pos_" for index in size.global_blocks]
    lengths = {f"{table}{axis}": 2 * side - 1 for table in tables for axis, side in (("h", height), ("w", width))}
    for name, table in state.items():
        if name == "pos_embed":
            state[name] = resample_pos_embed(table, (height, width))
        elif name in lengths:
            state[name] = resample_rel_pos(table, lengths[name])
    with torch.device("meta"):
        expected = SamEncoder(size, image_size, neck=True).state_dict()
    _require_fit(expected, state, f"a {size.name} image encoder", size.name)
    return state


def resample_pos_embed(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample a positional embedding [1, h, w, width] to a grid, bilinear with pixel centres aligned (as SAMed)."""
    if table.shape[1:3] == grid:
        return table
    image = table.permute(0, 3, 1, 2)  # [1, width, h, w]
    image = F.interpolate(image, grid, mode="bilinear", align_corners=False, antialias=False)
    return image.permute(0, 2, 3, 1).contiguous()  # [1, *grid, width]


def resample_rel_pos(table: Tensor, length: int) -> Tensor:
    """Resample a table [2n - 1, head width] to `length` rows, linear (as segment_anything's get_rel_pos)."""
    if table.shape[0] == length:
        return table
    line = F.interpolate(table.T[None], length, mode="linear", align_corners=False)  # [1, head width, length]
    return line[0].T.contiguous()


def load_exactly(
    module: nn.Module, state: Mapping[str, Tensor], fresh: Collection[str] = (), weights: str = "NAME"
) -> None:
    """Load `state` into `module`; every name must match, except those in `fresh`, which keep their random start.

    Raises WeightsDamaged on a missing or unexpected name or another shape. Raises ValueError if a name in `fresh` is no
    name of the module, so that the list cannot go stale.

    Args:
        module: the network or part whose parameters are replaced.
        state: tensors by their names in `module`.
        fresh: names that are not loaded.
        weights: the checkpoint's name, for messages.
    """
    expected = module.state_dict()
    if stale := sorted(set(fresh) - expected.keys()):
        raise ValueError(f"not parameters of {type(module).__name__}: {', '.join(stale)}")
    loaded = {name: tensor for name, tensor in expected.items() if name not in fresh}
    _require_fit(loaded, state, type(module).__name__, weights)
    module.load_state_dict(dict(state), strict=False)


def _require_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], owner: str, weights: str) -> None:
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unexpected:
        raise WeightsDamaged(
            f"the checkpoint does not fit {owner}: missing {shortened(missing, 3) or 'nothing'}; unexpected "
            f"{shortened(unexpected, 3) or 'nothing'}. Run: {prepare_again(weights)}"
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise WeightsDamaged(
                f"expected {name} of shape {tuple(expected[name].shape)} for {owner}, found {tuple(tensor.shape)} in "
                f"the checkpoint. Run: {prepare_again(weights)}"
            )
