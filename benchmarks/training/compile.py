"""Run the same network in faster kernels on CUDA: convolutions channels last, and compiled.

No parameter changes. Neither is done on the CPU, where equal commands give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from traceback import walk_tb
from types import MethodType
from typing import Any

import torch
from torch import nn

from rssam.lora import LoraQkv
from rssam.sam.attention import Selectable

CompileBackend = str | Callable[..., Any]
"""Of torch.compile, by name or itself."""

COMPILE_FAULTS: tuple[type[Exception], ...] = (
    torch._dynamo.exc.TorchDynamoException,
    torch._inductor.exc.CppCompileError,
    torch._inductor.exc.InvalidCxxCompiler,
    torch._inductor.exc.OperatorIssue,
    AttributeError,
)
"""What torch.compile raises where it cannot compile, for example without a compiler. Ask `is_compile_fault` then."""


def is_compile_fault(error: Exception) -> bool:
    """Return whether torch.compile raised this one of COMPILE_FAULTS: an AttributeError may be the network's own."""
    if not isinstance(error, AttributeError):
        return isinstance(error, COMPILE_FAULTS)
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(str(module).startswith("torch._inductor.") for module in modules)


GRAPHS = 64
"""Kept of one network: one for each mode, size of batch and way to attend that it meets; of what is beyond, none."""


def channels_last(net: nn.Module) -> None:
    """Lay the weights of convolutions out channels last, unless `net` is a transformer of SAM.

    cuDNN then computes so whatever the layout of the input. Values and names stay.
    """
    if not any(isinstance(module, Selectable) and not isinstance(module, LoraQkv) for module in net.modules()):
        net.to(memory_format=torch.channels_last)


def compile_network(net: nn.Module, backend: CompileBackend = "inductor", *, full_graph: bool = False) -> None:
    """Compile in place, each at its first call: the forward pass, and what `net` declares as `training_outputs`.

    Names of parameters stay. With `full_graph`, what cannot be one graph is an error; otherwise it runs as written
    between the graphs before and after it. What was compiled before is forgotten, and compiled again if it is still
    called.
    """
    # All networks share the code of `Module._call_impl`, of which torch keeps eight graphs: from the fifth run of a
    # process on (training and evaluation are two) nothing would be compiled, and nothing said.
    torch.compiler.reset()
    torch._dynamo.config.recompile_limit = GRAPHS
    net.compile(backend=backend, fullgraph=full_graph, dynamic=False)
    if (plain := getattr(type(net), "training_outputs", None)) is not None:
        compiled = torch.compile(plain, backend=backend, fullgraph=full_graph, dynamic=False)
        owner: Any = net
        owner.training_outputs = MethodType(compiled, net)  # Fabric takes a method only, and a copy calls its own
