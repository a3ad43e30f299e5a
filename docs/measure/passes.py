"""Passes through an encoder, with random parameters, which are as slow as trained ones."""

from __future__ import annotations

import torch
import turns  # noqa: F401  # whose path has the packages below
from torch import Tensor, nn

from benchmarks.speed.peers import encoder_alone
from rssam.contract import Task


def random_encoder(name: str, side: int) -> nn.Module:
    """Return SAM's encoder with LoRA of rank 4, frozen except for LoRA. No parameter is zero."""
    torch.manual_seed(0)
    net = encoder_alone(name, Task(("road",), (side, side)))
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.02)  # some are zero at the start
    return net


def forward(net: nn.Module, images: Tensor) -> None:
    """Run as in prediction."""
    with torch.inference_mode():
        net(images)


def step(net: nn.Module, images: Tensor) -> None:
    """Run as in training, without the optimiser."""
    for parameter in net.parameters():
        parameter.grad = None
    net(images).float().square().mean().backward()
