"""Declaration of MANet, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class MANet(ImageNetBaseline):
    """Li et al.'s multi-attention network for remote sensing; not `smp.MAnet`."""

    name: ClassVar[str] = "manet"
    title: ClassVar[str] = "MANet"
    version: ClassVar[int] = 1
    # Source: GeoSeg's for UNetFormer (it has none for MANet); there with a rate of 6e-4, cosine decay and 105 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.01)
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet"}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "resnet18": "resnet18", "test_resnet": None}

    backbone: str = "resnet50"
    init: BackboneInit = "imagenet"

    @staticmethod
    def _network() -> Any:
        from baselines.manet import network

        return network
