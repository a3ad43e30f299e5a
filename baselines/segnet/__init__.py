"""Declaration of SegNet, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class SegNet(ImageNetBaseline):
    """VGG16 with batch norm, unpooled with the indices of its pooling."""

    name: ClassVar[str] = "segnet"
    title: ClassVar[str] = "SegNet"
    version: ClassVar[int] = 1
    # Source: SegNet-Tutorial, segnet_solver.prototxt; there with a constant rate of 1e-3 and 436 epochs (40,000 steps
    # of 4 on 367 images).
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="sgd", weight_decay=5e-4)
    small: ClassVar[Mapping[str, Any]] = {"width": 16}
    size_option: ClassVar[str] = "width"
    sizes: ClassVar[Mapping[Any, str | None]] = {64: "vgg16_bn", 16: None}

    width: int = 64  # channels of the first stage
    init: BackboneInit = "imagenet"

    @staticmethod
    def _network() -> Any:
        from baselines.segnet import network

        return network
