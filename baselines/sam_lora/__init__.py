"""Declaration of SAM LoRA, the paper's Baseline, without torch; source and differences are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from baselines.declaration import SamBaseline
from rssam.contract import Optimisation, Task
from rssam.sam.encoder_sizes import EncoderInit

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights.folder import WeightsFolder


@dataclass(frozen=True)
class SamLora(SamBaseline):
    """Baseline of the paper: SAMed, LoRA in SAM's encoder and SAM's own mask decoder."""

    name: ClassVar[str] = "sam-lora"
    title: ClassVar[str] = "Baseline (SAM LoRA)"
    version: ClassVar[int] = 1
    # Source: SAMed, train.py; there with a rate of 5e-3, polynomial decay and 200 epochs.
    published: ClassVar[Optimisation | None] = Optimisation(optimizer="adamw", weight_decay=0.1)
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}

    encoder: str = "vit_b"
    init: EncoderInit = "sam"
    rank: int = 4  # SAMed; the only rank that gives Table 7's parameter counts

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        from baselines.sam_lora import network

        return network.architecture(task, encoder=self.encoder, init=self.init, rank=self.rank)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; see `rssam.contract.Model.build`."""
        from baselines.sam_lora import network

        return network.build(task, weights, encoder=self.encoder, init=self.init, rank=self.rank)
