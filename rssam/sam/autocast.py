"""Switch autocast off where float32 is needed: positional codes, and the product of tokens with features."""

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
