"""Make the optimiser, and compute the learning rate of each step."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from benchmarks.protocol.recipe import Recipe

SHARE = "share"
"""Entry of a group of parameters: its share of the learning rate."""


def make_optimizer(
    net: nn.Module, recipe: Recipe, rate: float, *, encoder_rate: float = 1.0, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over everything trainable; weight decay, as SAMed's, spares nothing.

    With another `encoder_rate` than 1 the part `encoder` of `net` is a group of its own, and its rate that share.
    `fused` is AdamW in one kernel, which rounds otherwise: for CUDA, where no two runs are equal bit for bit anyway.
    """
    parameters: Any = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if encoder_rate != 1.0:
        slow = set(cast(nn.Module, net.encoder).parameters())
        parameters = [
            {"params": [parameter for parameter in parameters if parameter not in slow]},
            {"params": [parameter for parameter in parameters if parameter in slow], SHARE: encoder_rate},
        ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=recipe.weight_decay)
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group of parameters: its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(SHARE, 1.0)


def learning_rate(recipe: Recipe, rate: float, step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up from rate / warm-up, then SAMed's polynomial decay.

    After the warm-up it is rate * (1 - (step - warm-up) / steps) ** power. As in SAMed's code, the decay is sized for
    all steps and does not quite reach zero.

    Args:
        recipe: names warm-up and power.
        rate: the largest learning rate.
        step: counted from 0.
        steps: of the whole training.
    """
    warmup = recipe.warmup if isinstance(recipe.warmup, int) else round(recipe.warmup * steps)
    if step < warmup:
        return rate * (step + 1) / warmup
    return float(rate * (1 - (step - warmup) / steps) ** recipe.power)
