"""Declaration of RSAM-Seg, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import SamBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class RsamSeg(SamBaseline):
    """SAM Adapter with adapters inside every block."""

    name: ClassVar[str] = "rsam-seg"
    title: ClassVar[str] = "RSAM-Seg"
    version: ClassVar[int] = 1
    # Source: RSAM-Seg, cod-sam-vit-l.yaml; there with a rate of 2e-4, cosine decay and 120 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.01)

    train_adapters: bool = True  # as its paper says; its code leaves them frozen at random numbers

    @staticmethod
    def _network() -> Any:
        from baselines.rsam_seg import network

        return network
