"""Names and shapes of the tensors in each published checkpoint, and what a file has instead.

Source: facebookresearch/segment-anything (Apache-2.0). What we do differently: the position tables of the image encoder
may be those of another image size. They are resampled when they are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

from rssam.weights.registry import WEIGHTS, BackboneWeights, SamWeights, Weights

Shape = tuple[int, ...]

SAM_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")

SHOWN = 3
"""Names of tensors in a sentence."""

LONGEST = 100
"""Letters of a tensor's name in a sentence."""

_PATCH = 16
_PATCHES = "image_encoder.patch_embed.proj.weight"


def marker(weights: Weights) -> str:
    """Return the name of the tensor by which the checkpoint is found in a file."""
    return weights.tensor if isinstance(weights, BackboneWeights) else _PATCHES


def fault(weights: Weights, found: Mapping[str, Shape]) -> str:
    """Return in what the tensors are not those of the checkpoint, "" if they are: "expected ..., found ..."."""
    if isinstance(weights, SamWeights):
        return _sam_fault(weights, found)
    if isinstance(weights, BackboneWeights) and found.get(weights.tensor) != weights.shape:
        instead = f"shape {found[weights.tensor]}" if weights.tensor in found else "no such tensor"
        return f"expected {weights.tensor} of shape {weights.shape}, found {instead}"
    return ""


def encoder_shape(found: Mapping[str, Shape]) -> tuple[int, int] | None:
    """Return (width, blocks) of the image encoder in a SAM checkpoint; None if it has none."""
    patch = found.get(_PATCHES, ())
    blocks = {match[1] for name in found if (match := re.match(r"image_encoder\.blocks\.(\d+)\.", name))}
    return (patch[0], len(blocks)) if len(patch) == 4 and blocks else None


def _sam_fault(weights: SamWeights, found: Mapping[str, Shape]) -> str:
    size = encoder_shape(found)
    if size is None or not {name.split(".")[0] for name in found}.issuperset(SAM_PARTS):
        return f"expected tensors named {', '.join(f'{part}.*' for part in SAM_PARTS)}, found {names_in_words(found)}"
    if size != (weights.width, weights.blocks):
        return (
            f"expected a {weights.name} checkpoint ({weights.width} wide, {weights.blocks} blocks), "
            f"found {size[0]} wide, {size[1]} blocks: {_advice(size)}"
        )
    expected = {**sam_shapes(weights), **_tables(weights, found)}
    missing, unexpected = expected.keys() - found.keys(), found.keys() - expected.keys()
    others = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    faults = [f"missing {names_in_words(missing)}"] if missing else []
    faults += [f"unexpected {names_in_words(unexpected)}"] if unexpected else []
    if others:
        shown = ", ".join(f"{name} {found[name]} instead of {expected[name]}" for name in others[:SHOWN])
        faults.append(f"of another shape {len(others)} ({shown}{', ...' if len(others) > SHOWN else ''})")
    return f"expected the {len(expected)} tensors of {weights.name}; {'; '.join(faults)}" if faults else ""


def names_in_words(names: Collection[str]) -> str:
    """Return how many names there are, and the first few, cut short: they may be anybody's."""
    shown = [ascii(name)[1:-1][:LONGEST] for name in sorted(names)[:SHOWN]]
    return f"{len(names)} ({', '.join(shown)}{', ...' if len(names) > SHOWN else ''})" if shown else "none"


def other_grid(weights: Weights, found: Mapping[str, Shape]) -> str:
    """Return the pixels of the images that SAM's position tables are for, "" if they are SAM's own 1024 x 1024."""
    if not isinstance(weights, SamWeights) or _tables(weights, found) == _published_tables(weights):
        return ""
    _, height, width, _ = found["image_encoder.pos_embed"]
    return f"{width * _PATCH}x{height * _PATCH}"


def _published_tables(weights: SamWeights) -> dict[str, Shape]:
    """Return the shapes of the tables that follow the size of the images: 64 x 64 patches, as published."""
    names = [f"image_encoder.blocks.{index}.attn.rel_pos_{axis}" for index in weights.global_blocks for axis in "hw"]
    return {name: sam_shapes(weights)[name] for name in ("image_encoder.pos_embed", *names)}


def _tables(weights: SamWeights, found: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of the tables that are resampled, with the file's lengths where it can be resampled."""
    tables: dict[str, Shape] = {}
    for name, shape in _published_tables(weights).items():
        there = found.get(name, ())
        if len(there) == 4 == len(shape) and there[1] and there[2]:
            tables[name] = (1, there[1], there[2], shape[3])
        elif len(there) == 2 == len(shape) and there[0] % 2:
            tables[name] = (there[0], shape[1])
        else:
            tables[name] = shape
    return tables


@cache
def sam_shapes(weights: SamWeights) -> Mapping[str, Shape]:
    """Return the shape of every tensor of a SAM checkpoint by its name, as segment_anything builds it."""
    import torch
    from segment_anything.build_sam import _build_sam  # the public functions build the three published sizes alone

    with torch.device("meta"):
        sam = _build_sam(weights.width, weights.blocks, weights.heads, list(weights.global_blocks))
    return {name: tuple(tensor.shape) for name, tensor in sam.state_dict().items()}


def _advice(size: tuple[int, int]) -> str:
    for weights in WEIGHTS.values():
        if isinstance(weights, SamWeights) and size == (weights.width, weights.blocks):
            return f"it is {weights.name}; run: rssam-bench prepare weights {weights.name} --source FILE"
    return "no published SAM checkpoint has that size"
