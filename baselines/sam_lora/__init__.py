"""Declaration of SAM LoRA, the paper's Baseline, without torch; source and differences are in `network.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.declaration import SamBaseline
from rssam.contract import Optimisation


@dataclass(frozen=True)
class SamLora(SamBaseline):
    """Baseline of the paper: SAMed, LoRA in SAM's encoder and SAM's own mask decoder."""

    name: ClassVar[str] = "sam-lora"
    title: ClassVar[str] = "Baseline (SAM LoRA)"
    version: ClassVar[int] = 1
    # Source: SAMed, train.py; there with a rate of 5e-3, polynomial decay and 200 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.1)

    rank: int = 4  # SAMed; the only rank that gives Table 7's parameter counts

    @staticmethod
    def _network() -> Any:
        from baselines.sam_lora import network

        return network
