"""Declaration of FCN, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class Fcn(ImageNetBaseline):
    """Fully convolutional network on a ResNet-50 of stride 8."""

    name: ClassVar[str] = "fcn"
    title: ClassVar[str] = "FCN"
    version: ClassVar[int] = 1
    # Source: torchvision, references/segmentation; there with a rate of 0.01, polynomial decay and 30 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="sgd", weight_decay=1e-4)
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet"}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "test_resnet": None}

    backbone: str = "resnet50"
    init: BackboneInit = "imagenet"

    @staticmethod
    def _network() -> Any:
        from baselines.fcn import network

        return network
