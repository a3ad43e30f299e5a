"""Declaration of U-Net, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import Baseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class UNet(Baseline):
    """U-Net with transposed convolutions, from scratch."""

    name: ClassVar[str] = "unet"
    title: ClassVar[str] = "UNet"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None  # RMSprop, which no recipe here has
    small: ClassVar[Mapping[str, Any]] = {"width": 16}

    width: int = 64  # channels of the first level, doubled at each of the four below

    @staticmethod
    def _network() -> Any:
        from baselines.unet import network

        return network
