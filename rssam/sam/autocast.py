"""Switch autocast off where float32 is needed: positional codes, tokens, and their product with features."""

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
