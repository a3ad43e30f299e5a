"""Declaration of UNetFormer, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class UNetFormer(ImageNetBaseline):
    """ResNet-18 with a decoder of windowed attention."""

    name: ClassVar[str] = "unetformer"
    title: ClassVar[str] = "UNetFormer"
    version: ClassVar[int] = 1
    # Source: GeoSeg, config/vaihingen/unetformer.py; there with a rate of 6e-4, cosine decay and 105 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.01)
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet", "width": 16}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet18": "resnet18_swsl", "test_resnet": None}

    backbone: str = "resnet18"
    init: BackboneInit = "imagenet"
    width: int = 64  # channels of the decoder

    @staticmethod
    def _network() -> Any:
        from baselines.unetformer import network

        return network
