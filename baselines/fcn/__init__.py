"""Declaration of FCN, without torch; source, licence and differences are in `network.py`."""

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

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        from baselines.fcn import network

        return network.architecture(task, backbone=self.backbone)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; see `rssam.contract.Model.build`."""
        from baselines.fcn import network

        return network.build(task, weights, backbone=self.backbone, init=self.init)
