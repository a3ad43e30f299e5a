"""Where autocast must not reach: positional codes and the product of tokens with features stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Autocast switched off on `device`; inside, the caller casts its inputs with `.float()`.

    Meta tensors, on which parameters and operations are counted, know no autocast.
    """
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device_type=device.type, enabled=False)
