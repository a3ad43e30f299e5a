"""Declaration of smp's U-Net, a control, without torch; source, licence and differences are in `network.py`."""

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

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        from baselines.unet_smp import network

        return network.architecture(task, backbone=self.backbone, width=self.width)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; see `rssam.contract.Model.build`."""
        from baselines.unet_smp import network

        return network.build(task, weights, backbone=self.backbone, init=self.init, width=self.width)
