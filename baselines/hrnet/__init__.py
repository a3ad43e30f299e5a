"""Declaration of HRNetV2, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import BackboneInit, ImageNetBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class HRNet(ImageNetBaseline):
    """HRNetV2 with its plain head."""

    name: ClassVar[str] = "hrnet"
    title: ClassVar[str] = "HRNet"
    version: ClassVar[int] = 1
    # Source: HRNet-Semantic-Segmentation, seg_hrnet_w48 for Cityscapes; there with a rate of 0.01, polynomial decay and
    # 484 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="sgd", weight_decay=5e-4)
    small: ClassVar[Mapping[str, Any]] = {"width": "w18_small"}
    size_option: ClassVar[str] = "width"
    sizes: ClassVar[Mapping[Any, str | None]] = {
        "w48": "hrnet_w48", "w32": "hrnet_w32", "w18": "hrnet_w18", "w18_small": None,
    }  # fmt: skip

    width: str = "w48"
    init: BackboneInit = "imagenet"

    @staticmethod
    def _network() -> Any:
        from baselines.hrnet import network

        return network
