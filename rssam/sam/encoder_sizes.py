"""Sizes of SAM's image encoders, strides and chains of decoders, and what an encoder starts from. No torch.

Source: facebookresearch/segment-anything (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from rssam.errors import UnknownName, UserError
from rssam.weights.registry import WEIGHTS, SamWeights


@dataclass(frozen=True)
class EncoderSize:
    """Numbers in which SAM's image encoders differ. Patch 16, window 14 and MLP ratio 4 are common to all."""

    name: str
    width: int  # channels of a token
    blocks: int
    heads: int
    global_blocks: tuple[int, ...]  # indices of the blocks that attend over the whole image, ascending


ENCODERS: dict[str, EncoderSize] = {
    size.name: size
    for size in (
        *(
            EncoderSize(sam.name, sam.width, sam.blocks, sam.heads, sam.global_blocks)
            for sam in WEIGHTS.values()
            if isinstance(sam, SamWeights)
        ),
        # Ours, without published weights: for tests, smoke runs and training on a CPU.
        EncoderSize("vit_t", width=192, blocks=4, heads=3, global_blocks=(1, 3)),
        EncoderSize("vit_s", width=192, blocks=8, heads=3, global_blocks=(1, 3, 5, 7)),
    )
}


SMALL_ENCODERS = ("vit_t", "vit_s")
"""The encoders without published weights."""


EncoderInit = Literal["sam", "scratch"]
"""What an encoder starts from: SAM's checkpoint, frozen under LoRA; or random numbers, trained as a whole."""


SCALES = (32, 16, 8, 4)
"""The paper's four strides, in the order of its decoders (Algorithm 1)."""


Chain = Literal["printed", "sam_first", "continued", "residual"]
"""How decoders hand on their tokens; see `DecoderChain` in `rssam/modules/decoder.py`."""


CHAINS: tuple[Chain, ...] = get_args(Chain)


def check_encoder(encoder: str, init: str) -> None:
    """Raise UserError if there is no such encoder, no such start, or no published weights to start from."""
    if encoder not in ENCODERS:
        raise UnknownName(f"unknown encoder {encoder!r}: choose one of {', '.join(ENCODERS)}")
    if init not in ("sam", "scratch"):
        raise UnknownName(f"unknown init {init!r}: choose sam or scratch")
    if init == "sam" and encoder not in WEIGHTS:
        raise UserError(f"{encoder} has no published weights: use --init scratch")
