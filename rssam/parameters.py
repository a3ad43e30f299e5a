"""Compute the digest of a network's parameters, which identifies a trained network."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def parameters_digest(net: nn.Module) -> str:
    """Compute the SHA-256 in hex over names, types, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
