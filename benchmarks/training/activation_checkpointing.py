"""Activation checkpointing for any network: less memory for more time, and the same numbers to the last bit.

The blocks of a network keep their input alone, and are run a second time in the backward pass. That second run must
change nothing: PyTorch puts the random state back for it (dropout), and here the running statistics of batch norm are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

CONTAINERS = (nn.ModuleList, nn.Sequential)


def enable_activation_checkpointing(net: nn.Module) -> int:
    """Run the blocks of `net` under activation checkpointing while it trains; return how many blocks."""
    blocks = list(_blocks(net, in_container=False))
    for block in blocks:
        _wrap(block)
    return len(blocks)


def _blocks(module: nn.Module, in_container: bool) -> Iterator[nn.Module]:
    """Yield elements of lists and sequences that have parts but no such list within, and sequences of bare layers."""
    layers = isinstance(module, nn.Sequential) and len(module) > 1 and not any(map(_composed, module))
    block = in_container and not isinstance(module, CONTAINERS) and _composed(module)
    if layers or (block and not any(map(_list, module.modules()))):
        yield module
        return
    for child in module.children():
        yield from _blocks(child, isinstance(module, CONTAINERS))


def _composed(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _list(module: nn.Module) -> bool:
    """Return whether it is a list of two or more modules that have parts themselves."""
    return isinstance(module, CONTAINERS) and sum(map(_composed, module)) > 1


def _wrap(block: nn.Module) -> None:
    plain: Callable[..., Any] = block.forward

    def forward(*arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled() or not block.training:
            return plain(*arguments, **options)
        return checkpoint(
            plain, *arguments, use_reentrant=False, context_fn=lambda: (nullcontext(), _unchanged(block)), **options
        )

    block.forward = forward


@contextmanager
def _unchanged(block: nn.Module) -> Iterator[None]:
    """Put the buffers of `block` back afterwards."""
    before = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.data.copy_(value)  # .data: autograd shall not take this for a change of what it saved
