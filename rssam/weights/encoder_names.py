"""Give an encoder's published tensors timm's names, as timm's own conversions do. Imports no torch.

Source: timm (Apache-2.0), `checkpoint_filter_fn` of its Eva and of its HieraDet; facebookresearch/dinov3 for its names.
What we do differently: what is left out must be known. DINOv3's mask of biases, which timm ignores, is applied, and
keys must then have none.
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

MOST_BIAS = 1 << 16
"""Numbers in a bias; the widest DINOv3 has 12,288."""

_FIRST_NORM = re.compile(r"(blocks\.\d+)\.gamma_1$")


def timms(tensors: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """Return the tensors under timm's names, notes on how they were found, and a fault, "" if there is none."""
    found: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    own = _DINOV3 in tensors
    for name, tensor in tensors.items():
        if own and _LEFT_OUT.fullmatch(name):
            continue
        mask = tensors.get(f"{name}_mask", tensor)
        fits = _is_bias(tensor) and _is_bias(mask) and mask.shape == tensor.shape
        if own and name.endswith(".attn.qkv.bias") and fits:
            # DINOv3 adds the product with the mask; in the released files both are zero.
            query, key, value = (tensor if mask is tensor else tensor * mask).chunk(3)
            if not bool((key == 0).all()):
                return {}, (), f"expected keys without bias, found {name} with one"
            found[name.replace("qkv.bias", "q_bias")], found[name.replace("qkv.bias", "v_bias")] = query, value
            continue
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        found[name] = tensor
    if own:
        notes = ("DINOv3's own names",)
    return *(_with_biases(found, notes) if "reg_token" in found else (found, notes)), ""


def _is_bias(tensor: Any) -> bool:
    """Return whether it is a plain vector for queries, keys and values; a file of anybody may hold other tensors."""
    return (
        str(tensor.layout) == "torch.strided" and tensor.device.type == "cpu" and not tensor.is_quantized
        and tensor.ndim == 1 and 0 < tensor.shape[0] <= MOST_BIAS and tensor.shape[0] % 3 == 0
    )  # fmt: skip


def _with_biases(tensors: dict[str, Any], notes: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Add biases of zero to queries and values of a DINOv3 without any: timm leaves them out where they are zero."""
    added: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if (match := _FIRST_NORM.match(name)) and str(tensor.layout) == "torch.strided" and not tensor.is_quantized:
            zero = tensor.new_zeros(())
            for bias in (f"{match[1]}.attn.q_bias", f"{match[1]}.attn.v_bias"):
                if bias not in tensors:
                    added[bias] = zero.expand(tensor.shape)  # takes no memory, whatever the shape
    return {**tensors, **added}, (*notes, *(("without biases of queries and values, which are zero",) if added else ()))
