"""Compute in float32 where autocast would round too much: positional codes, tokens, and their product with features."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which autocast is off on `device`; inside, the caller casts its inputs with `.float()`.

    Nothing is done for meta tensors, on which parameters and operations are counted: they have no autocast.
    """
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device_type=device.type, enabled=False)


def autocast_type(x: torch.Tensor) -> torch.dtype:
    """Return the type that autocast gives products on the device of `x`; without autocast, that of `x`."""
    device = x.device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return x.dtype
    return torch.get_autocast_dtype(device)


def exact(x: torch.Tensor) -> torch.Tensor:
    """Return `x` in float32, or in float64 as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
