"""Give an encoder's published tensors timm's names, as timm's own conversions do. Imports no torch.

Source: timm (Apache-2.0), `checkpoint_filter_fn` of its Eva and of its HieraDet; facebookresearch/dinov3 for its names.
What we do differently: what is left out must be known; DINOv3's mask of biases, which timm ignores, is applied, and keys
must then have none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DINOV3 = "storage_tokens"
"""A tensor that DINOv3's own files have, and timm's have under another name."""

_LEFT_OUT = re.compile(r"mask_token|rope_embed\.periods|local_cls_norm\.(weight|bias)|.*\.attn\.qkv\.bias_mask")
"""What only DINOv3's pretraining uses, or is computed: rotary periods, the norm of local crops, the mask of biases."""

_RENAMED = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^storage_tokens$", "reg_token"),
        (r"\.ls([12])\.gamma$", r".gamma_\1"),
        (r"\.mlp\.layers\.0\.", ".mlp.fc1."),  # SAM 2
        (r"\.mlp\.layers\.1\.", ".mlp.fc2."),
    )
)

_FIRST_NORM = re.compile(r"(blocks\.\d+)\.gamma_1$")


def timms(tensors: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """Return the tensors under timm's names, notes on how they were found, and a fault, "" if there is none."""
    found: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    own = _DINOV3 in tensors
    for name, tensor in tensors.items():
        if own and _LEFT_OUT.fullmatch(name):
            continue
        if own and name.endswith(".attn.qkv.bias"):
            mask = tensors.get(f"{name}_mask")  # DINOv3 adds their product; in the released files both are zero
            query, key, value = (tensor if mask is None else tensor * mask).chunk(3)
            if not bool((key == 0).all()):
                return {}, (), f"expected keys without bias, found {name} with one"
            found[name.replace("qkv.bias", "q_bias")], found[name.replace("qkv.bias", "v_bias")] = query, value
            continue
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        found[name] = tensor
    if own:
        notes = ("DINOv3's own names",)
    return *_with_biases(found, notes), ""


def _with_biases(tensors: dict[str, Any], notes: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Add biases of zero to queries and values of a DINOv3 without any: timm leaves them out where they are zero."""
    added = {}
    for name, tensor in tensors.items():
        if match := _FIRST_NORM.match(name):
            for bias in (f"{match[1]}.attn.q_bias", f"{match[1]}.attn.v_bias"):
                if bias not in tensors:
                    added[bias] = tensor.new_zeros(tensor.shape)
    return {**tensors, **added}, (*notes, *(("without biases of queries and values, which are zero",) if added else ()))
