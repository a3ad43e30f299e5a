"""Declaration of U-Net, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rssam.contract import Optimisation, Task

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights.folder import WeightsFolder


@dataclass(frozen=True)
class UNet:
    """U-Net with transposed convolutions, from scratch."""

    name: ClassVar[str] = "unet"
    title: ClassVar[str] = "UNet"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None  # RMSprop, which no recipe here has
    small: ClassVar[Mapping[str, Any]] = {"width": 16}

    width: int = 64  # channels of the first level, doubled at each of the four below

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        from baselines.unet import network

        return network.architecture(task, width=self.width)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network: there are no published weights."""
        return self.architecture(task)

    def weights_needed(self) -> tuple[str, ...]:
        """Return nothing: it starts at random."""
        return ()
