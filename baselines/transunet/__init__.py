"""Declaration of TransUNet, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class TransUNet(ImageNetBaseline):
    """ResNet with a ViT on top and a U-Net decoder."""

    name: ClassVar[str] = "transunet"
    title: ClassVar[str] = "TransUNet"
    version: ClassVar[int] = 1
    # Source: TransUNet, train.py; there with a rate of 0.01, polynomial decay and 150 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="sgd", weight_decay=1e-4)
    small: ClassVar[Mapping[str, Any]] = {"size": "tiny"}
    size_option: ClassVar[str] = "size"
    sizes: ClassVar[Mapping[Any, str | None]] = {"base": "r50_vit_b16", "tiny": None}

    size: str = "base"  # R50-ViT-B/16
    init: BackboneInit = "imagenet"  # ImageNet-21k

    @staticmethod
    def _network() -> Any:
        from baselines.transunet import network

        return network
