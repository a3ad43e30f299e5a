"""Find a checkpoint's tensors under the names and in the wrappers that other packages give them. Imports no torch.

Source: transformers (Apache-2.0), `SamModel` and `SamHQModel`, for the names of Hugging Face; sam-hq (Apache-2.0) for
the parts that SAM-HQ adds to SAM's decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rssam.weights import encoder_names
from rssam.weights.layout import LONGEST, SHOWN, marker, names_in_words
from rssam.weights.registry import EncoderWeights, SamWeights, Weights

MOST_DEPTH = 4
"""Dictionaries inside one another that are searched for tensors."""

_HUGGING_FACE = "vision_encoder.patch_embed.projection.weight"

_RENAMED = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^vision_encoder\.layers\.(\d+)\.layer_norm(\d)\.", r"image_encoder.blocks.\1.norm\2."),
        (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
        (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
        (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
        (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
        (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
        (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
        (r"^vision_encoder\.", "image_encoder."),
        (
            r"^(shared_image_embedding|prompt_encoder\.shared_embedding)\.positional_embedding$",
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        ),
        (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
        (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
        (r"^(mask_decoder\.transformer\.layers\.\d+)\.layer_norm(\d)\.", r"\1.norm\2."),
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        # The first layer is renamed last, so that it is not taken for the second.
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.0\.", r"\1.layers.1."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_in\.", r"\1.layers.0."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_out\.", r"\1.layers.2."),
    )
)

_SAM_HQ = re.compile(
    r"mask_decoder\.(hf_token|hf_mlp|compress_vit_feat|embedding_encoder|embedding_maskfeature"
    r"|hq_token|hq_mask_mlp|compress_vit_(conv\d|norm)|encoder_(conv\d|norm)|mask_(conv\d|norm))\."
)


@dataclass(frozen=True)
class Found:
    """Tensors of a checkpoint under their published names, and how they were found, half a sentence each."""

    tensors: Mapping[str, Any]
    notes: tuple[str, ...]
    fault: str = ""  # why there are none, or that there are several


def find(weights: Weights, value: Any, is_tensor: type) -> Found:
    """Return the tensors of the checkpoint in what a file holds: a dictionary of tensors, alone or wrapped."""
    places = list(_places(weights, value, is_tensor, (), set()))
    if len(places) > 1:
        shown = ", ".join(_quoted(".".join((*path, prefix)).strip(".")) for path, _, prefix in places[:SHOWN])
        return Found({}, (), f"it holds {len(places)} networks, under {shown}: save one of them alone")
    if not places:
        tensors = _flat(value, is_tensor)
        return Found(tensors, (), "" if tensors else f"expected a dictionary of tensors with {marker(weights)}")
    path, names, prefix = places[0]
    notes = [f"inside {_quoted('.'.join(path))}"] if path else []
    tensors = {name.removeprefix(prefix): tensor for name, tensor in names.items() if name.startswith(prefix)}
    if prefix:
        notes.append(f"names behind {_quoted(prefix)}")
    if beside := {name for name in names if not name.startswith(prefix)}:
        notes.append(f"without the tensors beside it: {names_in_words(beside)}")
    if isinstance(weights, EncoderWeights):
        tensors, more, words = encoder_names.timms(tensors)
        return Found(tensors, (*notes, *more), words)
    if not isinstance(weights, SamWeights):
        return Found(tensors, tuple(notes))
    if _HUGGING_FACE in tensors:
        notes.append("Hugging Face's names")
        tensors, twice = _published_names(tensors)
        if twice:
            return Found({}, (), f"two tensors of it are both {twice}, and they differ")
    if added := {name for name in tensors if _SAM_HQ.match(name)}:
        notes.append(f"without what SAM-HQ adds to the decoder: {names_in_words(added)}")
    return Found({name: tensor for name, tensor in tensors.items() if name not in added}, tuple(notes))


def _quoted(name: str) -> str:
    return f'"{ascii(name)[1:-1][:LONGEST]}"'


def _flat(value: Any, is_tensor: type) -> dict[str, Any]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {name: tensor for name, tensor in items if isinstance(name, str) and isinstance(tensor, is_tensor)}


def _places(
    weights: Weights, value: Any, is_tensor: type, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], str]]:
    """Yield places of the tensor that marks the checkpoint: dictionaries above, its dictionary, the prefix of names."""
    if not isinstance(value, Mapping) or len(path) > MOST_DEPTH or id(value) in seen:
        return
    seen.add(id(value))  # a dictionary may hold itself
    names = _flat(value, is_tensor)
    marks = (marker(weights), *((_HUGGING_FACE,) if isinstance(weights, SamWeights) else ()))
    for name in names:
        for mark in marks:
            if name == mark or name.endswith(f".{mark}"):
                yield path, names, name.removesuffix(mark)
    for name, inner in value.items():
        if isinstance(name, str):
            yield from _places(weights, inner, is_tensor, (*path, name), seen)


def _published_names(tensors: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return tensors under SAM's names for Hugging Face's, and a name that two unequal tensors would have."""
    renamed: dict[str, Any] = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        if name in renamed and not (renamed[name].shape == tensor.shape and bool((renamed[name] == tensor).all())):
            return {}, name
        renamed[name] = tensor
    return renamed, ""
