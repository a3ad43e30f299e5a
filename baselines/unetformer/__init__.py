"""Declaration of UNetFormer, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation, Task

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights.folder import WeightsFolder


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

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        from baselines.unetformer import network

        return network.architecture(task, backbone=self.backbone, width=self.width)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; see `rssam.contract.Model.build`."""
        from baselines.unetformer import network

        return network.build(task, weights, backbone=self.backbone, init=self.init, width=self.width)
