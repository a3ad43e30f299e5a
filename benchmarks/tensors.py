"""Take what training can change out of a network, name how two such states differ, and compute their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def trained_state(net: nn.Module) -> dict[str, Tensor]:
    """Return what training can change: trainable parameters and persistent buffers (running statistics), by name."""
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    return {name: value.detach() for name, value in net.state_dict().items() if name not in frozen}


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return a phrase for every kind of difference, with every name."""
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    of_another_kind = [
        f"{name} (expected {_kind(expected[name])}, found {_kind(found[name])})"
        for name in sorted(expected.keys() & found.keys())
        if _kind(expected[name]) != _kind(found[name])
    ]
    lists = (("missing", missing), ("unexpected", unexpected), ("of another kind", of_another_kind))
    return [f"{difference} {', '.join(names)}" for difference, names in lists if names]


def content_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of all tensors, and of `metadata`.

    Tensors are on the CPU and contiguous.
    """
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"|{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _kind(value: Tensor) -> tuple[str, tuple[int, ...]]:
    return str(value.dtype), tuple(value.shape)
