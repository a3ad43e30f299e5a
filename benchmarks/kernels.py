"""The same network in faster kernels on CUDA: convolutions channels last, and compiled. No parameter changes.

Neither is taken on the CPU, where equal commands give equal bits.
"""

from __future__ import annotations

import torch
from torch import nn

from rssam.attention import Selectable

COMPILE_FAULTS: tuple[type[Exception], ...] = (
    torch._dynamo.exc.TorchDynamoException,
    torch._inductor.exc.CppCompileError,
    torch._inductor.exc.InvalidCxxCompiler,
    torch._inductor.exc.OperatorIssue,
)
"""What torch.compile raises where it cannot compile, for want of a compiler or of an operator."""


def channels_last(net: nn.Module) -> None:
    """Lay the weights of convolutions out channels last, unless `net` is a transformer of SAM.

    cuDNN then computes so whatever the layout of the input. Values and names stay.
    """
    if not any(isinstance(module, Selectable) for module in net.modules()):
        net.to(memory_format=torch.channels_last)


def compile_network(net: nn.Module) -> None:
    """Compile the forward pass in place at its first call; names of parameters stay.

    What a network declares as `training_outputs` is trained as written: there only validation and test are compiled.
    """
    net.compile(dynamic=False)
