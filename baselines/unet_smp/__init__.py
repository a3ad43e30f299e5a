"""Declaration of smp's U-Net, a control, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class SmpUNet(ImageNetBaseline):
    """Control that is not in the paper: smp's U-Net on an ImageNet encoder."""

    name: ClassVar[str] = "unet-smp"
    title: ClassVar[str] = "UNet (smp)"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None
    small: ClassVar[Mapping[str, Any]] = {"backbone": "resnet18", "width": 4}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "resnet18": "resnet18"}

    backbone: str = "resnet50"
    init: BackboneInit = "imagenet"
    width: int = 16  # channels of the last decoder level, doubled at each of the four above

    @staticmethod
    def _network() -> Any:
        from baselines.unet_smp import network

        return network
