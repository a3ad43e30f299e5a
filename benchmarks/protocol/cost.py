"""Count parameters and operations of a system on the meta device: no weights, no memory, no time.

Parameters are reported three ways, because Table 7 counts in a way of its own: total, trainable, and "as published".
The last is the rule of the counter (thop) whose figures the paper prints. It counts weights and biases of registered
layers that ran in the forward pass. It misses raw parameters (position embeddings, relative position tables),
embeddings (mask tokens) and layers it does not know (SAM's LayerNorm2d).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from rssam.contract import Model, Task
from rssam.sam.attention import set_attention

COUNTED_AS_PUBLISHED = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.InstanceNorm2d, nn.PReLU, nn.Linear,
)  # fmt: skip
"""Layers with parameters that thop 0.1.1 knows."""


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-accumulates of one system for one task."""

    total: int
    trainable: int
    as_published: int
    gmacs: float  # 1e9 multiply-accumulates of one image's forward pass as published; convolutions and matrix products


@cache  # a table's runs differ in their seeds and rates, and a count takes up to a second
def measure(model: Model, task: Task) -> Cost:
    """Count the system as declared, for one image of the task's size."""
    return measure_network(model.architecture, task)


def measure_network(architecture: Callable[[Task], nn.Module], task: Task) -> Cost:
    """Count what `architecture` makes for a task, for one image of its size."""
    with torch.device("meta"):
        net = architecture(task).eval()
        image = torch.zeros(1, 3, *task.image_size)
    set_attention(net, "reference")  # layers and products as published, whatever is done to be faster
    parameters = parameter_counts(net)
    net.requires_grad_(False)  # the counter below follows gradients where there could be any
    ran: set[nn.Module] = set()
    hooks = [module.register_forward_hook(lambda module, *_: ran.add(module)) for module in net.modules()]
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        net(image)
    for hook in hooks:
        hook.remove()
    counted = sum(
        parameter.numel()
        for module in ran
        if isinstance(module, COUNTED_AS_PUBLISHED)
        for parameter in module.parameters(recurse=False)
    )
    return Cost(**parameters, as_published=counted, gmacs=flops.get_total_flops() / 2e9)


def parameter_counts(net: nn.Module) -> dict[str, int]:
    """Return the total and trainable numbers of parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in net.parameters()]
    return {"total": sum(size for size, _ in sizes), "trainable": sum(size for size, trains in sizes if trains)}


def product_inputs(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Return copies of the inputs of all convolutions and matrix products of a forward pass, in order."""
    found: list[Tensor] = []

    class Record(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            place = {"convolution": 0, "mm": 0, "bmm": 0, "addmm": 1}.get(func.overloadpacket.__name__)
            if place is not None:
                found.append(args[place].clone())  # layers may write into their input later
            return func(*args, **(kwargs or {}))

    with Record():  # type: ignore[no-untyped-call]
        net(images)
    return found
