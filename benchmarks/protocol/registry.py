"""MODELS, the registry of every system. No torch: a declaration imports its network when it builds it.

CONTRIBUTING.md says how to add a system. One outside this repository needs no entry here: see docs/extend.md.
"""

from __future__ import annotations

import dataclasses

from baselines.encoder_swap import EncoderSwap
from baselines.sam_lora import SamLora
from baselines.unet_smp import SmpUNet
from benchmarks.protocol.tables import SYSTEMS
from rssam.config import RSSAM
from rssam.contract import Model, cli_options

MODELS: dict[str, Model] = {model.name: model for model in (*dict(SYSTEMS).values(), SmpUNet(), EncoderSwap())}
"""The eleven systems in the order of the paper's tables, a control, and other encoders."""

TITLES = frozenset(model.title for model in MODELS.values())
"""What reports call them; predictions made elsewhere may not be called so."""


def variants() -> list[Model]:
    """Return every system at every size the paper runs: the Baseline and RS-SAM with ViT-B and with ViT-L."""
    with_two_sizes = (SamLora.name, RSSAM.name)
    return [
        dataclasses.replace(model, **change)  # type: ignore[type-var]
        for model in MODELS.values()
        for change in ([{"encoder": "vit_b"}, {"encoder": "vit_l"}] if model.name in with_two_sizes else [{}])
    ]


def smallest(model: Model) -> Model:
    """Return the system's smallest variant, from scratch where it has a choice."""
    start = {"init": "scratch"} if "init" in cli_options(model) else {}
    return dataclasses.replace(model, **{**model.small, **start})  # type: ignore[type-var]
