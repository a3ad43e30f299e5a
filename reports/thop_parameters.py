"""Count the parameters of SAM with LoRA as thop does, from SAM's dimensions alone.

thop counts weights of layers that run. It misses positional parameters, embeddings and two-dimensional layer norms.
"""

from __future__ import annotations

from rssam.sam.encoder_sizes import ENCODERS

DECODER_PARAMETERS = 3_776_802
"""Those of SAM's mask decoder with two mask tokens; `tests/reports/test_audit.py` counts them with thop's rule."""


def baseline_parameters(encoder: str) -> int:
    """Return the parameters that thop counts in the Baseline: encoder with LoRA, neck and mask decoder."""
    neck = 256 * (ENCODERS[encoder].width + 9 * 256)
    return encoder_parameters(encoder) + neck + DECODER_PARAMETERS


def encoder_parameters(encoder: str) -> int:
    """Return those that thop counts in an encoder without its neck, with LoRA of rank 4 on queries and values."""
    size = ENCODERS[encoder]
    width = size.width
    patches = 3 * 16 * 16 * width + width
    block = 12 * width * width + 13 * width  # qkv, projection, MLP of ratio 4, two layer norms
    return patches + size.blocks * (block + 4 * 4 * width)
