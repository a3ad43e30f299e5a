"""Every system of the benchmark: a torch-free declaration each, listed in MODELS. `build` imports the network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rssam.config import RSSAM, check_encoder
from rssam.contract import Model, Optimisation, Task

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights import WeightsFolder


@dataclass(frozen=True)
class SamLora:
    """The paper's Baseline: SAMed, LoRA in SAM's encoder and SAM's own mask decoder (`baselines/sam_lora.py`)."""

    name: ClassVar[str] = "sam-lora"
    title: ClassVar[str] = "Baseline (SAM LoRA)"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw", rate=5e-3, weight_decay=0.1, schedule="poly", epochs=200, source="SAMed, train.py"
    )

    encoder: str = "vit_b"
    init: Literal["sam", "scratch"] = "sam"
    rank: int = 4  # SAMed; the only rank that gives Table 7's parameter counts

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)

    def architecture(self, task: Task) -> nn.Module:
        """See `rssam.contract.Model.architecture`."""
        from baselines.sam_lora import architecture

        return architecture(self.encoder, self.init, self.rank, task)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """See `rssam.contract.Model.build`."""
        from baselines.sam_lora import build_sam_lora

        return build_sam_lora(self.encoder, self.init, self.rank, task, weights)

    def weights_needed(self) -> tuple[str, ...]:
        """SAM's checkpoint, unless trained from scratch."""
        return (self.encoder,) if self.init == "sam" else ()


MODELS: dict[str, Model] = {model.name: model for model in (RSSAM(), SamLora())}


def variants() -> list[Model]:
    """Every system at every size the paper runs: those on SAM with ViT-B and with ViT-L."""
    return [
        dataclasses.replace(model, **change)  # type: ignore[type-var]
        for model in MODELS.values()
        for change in ([{"encoder": "vit_b"}, {"encoder": "vit_l"}] if hasattr(model, "encoder") else [{}])
    ]
