"""What the options of `EncoderSwap` may be. No torch."""

from __future__ import annotations

from typing import Literal

Start = Literal["pretrained", "scratch"]
"""The start of an encoder: its published weights, or random numbers, trained as a whole."""

Tuning = Literal["frozen", "lora", "full"]
"""What of a pretrained encoder is trained: nothing, LoRA on queries and values, or all, at a tenth of the rate."""

Head = Literal["dpt", "sam", "rssam"]
"""DPT's decoder, SAM's mask decoder as in the Baseline, or RS-SAM's neck, decoders and refinement."""
