"""Names and shapes of the tensors in each published checkpoint, and what a file has instead. Imports no torch.

Source: facebookresearch/segment-anything (Apache-2.0). What we do differently: the position tables of the image encoder
may be those of another image size. They are resampled when they are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from rssam.weights.registry import WEIGHTS, BackboneWeights, SamWeights, Weights

Shape = tuple[int, ...]

SAM_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")

SHOWN = 3
"""Names of tensors in a sentence."""

LONGEST = 100
"""Letters of a tensor's name in a sentence."""

_EMBEDDING, _PATCH, _WINDOW, _GRID = 256, 16, 14, 64
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
    expected = sam_shapes(weights, _tables(weights, found))
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
    head = weights.width // weights.heads
    return {
        "image_encoder.pos_embed": (1, _GRID, _GRID, weights.width),
        **{
            f"image_encoder.blocks.{index}.attn.rel_pos_{axis}": (2 * _GRID - 1, head)
            for index in weights.global_blocks
            for axis in "hw"
        },
    }


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


def sam_shapes(weights: SamWeights, tables: Mapping[str, Shape] | None = None) -> dict[str, Shape]:
    """Return the shape of every tensor of a SAM checkpoint by its name."""
    shapes: dict[str, Shape] = {**(_published_tables(weights) if tables is None else tables)}
    _encoder(shapes, weights)
    _prompt_encoder(shapes)
    _mask_decoder(shapes)
    return shapes


def _encoder(shapes: dict[str, Shape], weights: SamWeights) -> None:
    width, part = weights.width, "image_encoder"
    _layer(shapes, f"{part}.patch_embed.proj", width, 3, _PATCH, _PATCH)
    for index in range(weights.blocks):
        block = f"{part}.blocks.{index}"
        for axis in "hw":
            shapes.setdefault(f"{block}.attn.rel_pos_{axis}", (2 * _WINDOW - 1, width // weights.heads))
        for norm in ("norm1", "norm2"):
            _layer(shapes, f"{block}.{norm}", width)
        _layer(shapes, f"{block}.attn.qkv", 3 * width, width)
        _layer(shapes, f"{block}.attn.proj", width, width)
        _layer(shapes, f"{block}.mlp.lin1", 4 * width, width)
        _layer(shapes, f"{block}.mlp.lin2", width, 4 * width)
    shapes[f"{part}.neck.0.weight"] = (_EMBEDDING, width, 1, 1)
    shapes[f"{part}.neck.2.weight"] = (_EMBEDDING, _EMBEDDING, 3, 3)
    for norm in ("neck.1", "neck.3"):
        _layer(shapes, f"{part}.{norm}", _EMBEDDING)


def _prompt_encoder(shapes: dict[str, Shape]) -> None:
    part = "prompt_encoder"
    shapes[f"{part}.pe_layer.positional_encoding_gaussian_matrix"] = (2, _EMBEDDING // 2)
    for name in (*(f"point_embeddings.{index}" for index in range(4)), "not_a_point_embed", "no_mask_embed"):
        shapes[f"{part}.{name}.weight"] = (1, _EMBEDDING)
    for place, shape in {0: (4, 1, 2, 2), 1: (4,), 3: (16, 4, 2, 2), 4: (16,), 6: (_EMBEDDING, 16, 1, 1)}.items():
        _layer(shapes, f"{part}.mask_downscaling.{place}", *shape)


def _mask_decoder(shapes: dict[str, Shape]) -> None:
    part, tokens = "mask_decoder", 4
    for layer in (f"{part}.transformer.layers.0", f"{part}.transformer.layers.1"):
        _attention(shapes, f"{layer}.self_attn", _EMBEDDING)
        _attention(shapes, f"{layer}.cross_attn_token_to_image", _EMBEDDING // 2)
        _attention(shapes, f"{layer}.cross_attn_image_to_token", _EMBEDDING // 2)
        for norm in range(1, 5):
            _layer(shapes, f"{layer}.norm{norm}", _EMBEDDING)
        _layer(shapes, f"{layer}.mlp.lin1", 2048, _EMBEDDING)
        _layer(shapes, f"{layer}.mlp.lin2", _EMBEDDING, 2048)
    _attention(shapes, f"{part}.transformer.final_attn_token_to_image", _EMBEDDING // 2)
    _layer(shapes, f"{part}.transformer.norm_final_attn", _EMBEDDING)
    shapes[f"{part}.iou_token.weight"] = (1, _EMBEDDING)
    shapes[f"{part}.mask_tokens.weight"] = (tokens, _EMBEDDING)
    for place, out, into in ((0, 64, _EMBEDDING), (3, 32, 64)):  # transposed: inputs come first
        shapes[f"{part}.output_upscaling.{place}.weight"] = (into, out, 2, 2)
        shapes[f"{part}.output_upscaling.{place}.bias"] = (out,)
    _layer(shapes, f"{part}.output_upscaling.1", 64)
    for index in range(tokens):
        _perceptron(shapes, f"{part}.output_hypernetworks_mlps.{index}", 32)
    _perceptron(shapes, f"{part}.iou_prediction_head", tokens)


def _layer(shapes: dict[str, Shape], name: str, *weight: int) -> None:
    """Add the shape of a weight, and that of a bias of its first length."""
    shapes[f"{name}.weight"] = weight
    shapes[f"{name}.bias"] = weight[:1]


def _attention(shapes: dict[str, Shape], name: str, inner: int) -> None:
    for projection in "qkv":
        _layer(shapes, f"{name}.{projection}_proj", inner, _EMBEDDING)
    _layer(shapes, f"{name}.out_proj", _EMBEDDING, inner)


def _perceptron(shapes: dict[str, Shape], name: str, out: int) -> None:
    for place, length in enumerate((_EMBEDDING, _EMBEDDING, out)):
        _layer(shapes, f"{name}.layers.{place}", length, _EMBEDDING)


def _advice(size: tuple[int, int]) -> str:
    for weights in WEIGHTS.values():
        if isinstance(weights, SamWeights) and size == (weights.width, weights.blocks):
            return f"it is {weights.name}; run: rssam-bench prepare weights {weights.name} --source FILE"
    return "no published SAM checkpoint has that size"
