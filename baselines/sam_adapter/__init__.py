"""Declaration of SAM Adapter, without torch; source, licence and differences are in `network.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import SamBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class SamAdapter(SamBaseline):
    """SAM with prompts made from its patches and high frequencies."""

    name: ClassVar[str] = "sam-adapter"
    title: ClassVar[str] = "SAM Adapter"
    version: ClassVar[int] = 1
    # Source: SAM-Adapter, cod-sam-vit-b.yaml; there with a rate of 2e-4, cosine decay and 20 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.01)

    @staticmethod
    def _network() -> Any:
        from baselines.sam_adapter import network

        return network
