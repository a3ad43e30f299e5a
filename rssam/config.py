"""RS-SAM (ACCV 2024) as a value: the sizes of SAM's encoders and the switches of the paper's ablations. No torch.

Source: the paper has no public code; SAM's sizes are those of facebookresearch/segment-anything (Apache-2.0).
What we do differently: the decoder chain has a residual between scales (`token_residual`), because the chain as
printed drives the class tokens together; every other field below marked "not in the paper" is a choice it leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rssam.contract import Optimisation, Task, UnknownName, UserError
from rssam.weights.convert import WEIGHTS, WeightsFolder

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EncoderSize:
    """The numbers in which SAM's image encoders differ. Patch 16, window 14 and MLP ratio 4 are common to all."""

    name: str
    width: int  # channels of a token
    blocks: int
    heads: int
    global_blocks: tuple[int, ...]  # indices of the blocks that attend over the whole image, ascending


ENCODERS: dict[str, EncoderSize] = {
    size.name: size
    for size in (
        EncoderSize("vit_b", width=768, blocks=12, heads=12, global_blocks=(2, 5, 8, 11)),
        EncoderSize("vit_l", width=1024, blocks=24, heads=16, global_blocks=(5, 11, 17, 23)),
        EncoderSize("vit_h", width=1280, blocks=32, heads=16, global_blocks=(7, 15, 23, 31)),
        # Ours, without published weights: for tests, smoke runs and training on a CPU.
        EncoderSize("vit_t", width=192, blocks=4, heads=3, global_blocks=(1, 3)),
        EncoderSize("vit_s", width=192, blocks=8, heads=3, global_blocks=(1, 3, 5, 7)),
    )
}

SMALL_ENCODERS = ("vit_t", "vit_s")
"""Those without published weights."""

Init = Literal["sam", "scratch"]
"""What an encoder starts from: SAM's checkpoint, frozen under LoRA; or random numbers, trained as a whole."""

SCALES = (32, 16, 8, 4)
"""The paper's four strides, in the order of its decoders (Algorithm 1)."""


def check_encoder(encoder: str, init: str) -> None:
    """Raise UserError if there is no such encoder, no such start, or no published weights to start from."""
    if encoder not in ENCODERS:
        raise UnknownName(f"unknown encoder {encoder!r}: choose one of {', '.join(ENCODERS)}")
    if init not in ("sam", "scratch"):
        raise UnknownName(f"unknown init {init!r}: choose sam or scratch")
    if init == "sam" and encoder not in WEIGHTS:
        raise UserError(f"{encoder} has no published weights: use --init scratch")


@dataclass(frozen=True)
class RSSAM:
    """RS-SAM and its ablations. The defaults are the full model of Tables 1-4."""

    name: ClassVar[str] = "rs-sam"
    title: ClassVar[str] = "RS-SAM"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None  # the paper gives no rate, warm-up length or weight decay
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}

    encoder: str = "vit_b"
    init: Init = "sam"
    neck_source: Literal["last", "layers"] = "last"  # Table 6: last block, or "layers 3, 6, 9, and 12"
    mff: bool = True  # Table 5
    mhff: bool = True  # Table 5
    scales: tuple[int, ...] = SCALES  # strides of the decoders in order; others are controls, see upscaling.py
    rank: int = 4  # not in the paper: SAMed's rank, which Table 7's Baseline row confirms for the Baseline
    token_residual: bool = True  # not in the paper: M_i = M_{i-1} + Decoder_i(F_i, M_{i-1}); False is Eq. 2 as printed
    pretrained_decoders: bool = True  # not in the paper: decoders, 1/16 neck and positional code start from SAM's

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)
        if self.neck_source not in ("last", "layers"):
            raise ValueError(f"neck_source is 'last' or 'layers', not {self.neck_source!r}")
        if self.rank < 0:
            raise ValueError(f"rank must be 0 or more, not {self.rank}")
        if not self.scales or not set(self.scales) <= set(SCALES):
            raise ValueError(f"scales must be taken from {SCALES}, not {self.scales}")
        if self.mhff and self.scales != SCALES:
            raise ValueError(f"mhff fuses the scales {SCALES}: set mhff=False to use {self.scales}")
        if self.scales[-1] not in (4, 16):
            raise ValueError(f"the last of scales is 4, or 16 with SAM's upscaling, not {self.scales[-1]}")
        if self.mff and self.scales[-1] != 4:
            raise ValueError(f"mff multiplies with features of stride 4: set mff=False to end at {self.scales[-1]}")
        if self.neck_source == "layers" and self.scales != SCALES:
            raise ValueError(f"neck_source 'layers' feeds the scales {SCALES}: it does not fit {self.scales}")

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters and final freezing; see `rssam.contract.Model.architecture`."""
        from rssam import model

        return model.architecture(self, task)

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`. Raises WeightsNotFound if init is "sam" and the checkpoint is missing."""
        from rssam import model

        return model.build(self, task, weights)

    def weights_needed(self) -> tuple[str, ...]:
        """Names of the checkpoints that `build` reads."""
        return (self.encoder,) if self.init == "sam" else ()
