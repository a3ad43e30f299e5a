"""Segmentation networks on an encoder of choice."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from rssam.contract import Task


def architecture(task: Task, *, encoder: str, init: str, tuning: str, head: str, rank: int) -> nn.Module:
    """Return the network with random parameters, frozen as `init` and `tuning` say; also for the meta device."""
    raise NotImplementedError


def load(net: nn.Module, *paths: Path) -> nn.Module:
    """Start the encoder from its prepared weights."""
    raise NotImplementedError
