"""Declaration of a segmentation network on an encoder of choice, without torch; sources are in `network.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from baselines.declaration import Baseline
from baselines.encoder_swap.options import Head, Start, Tuning
from rssam.contract import Optimisation
from rssam.encoders.declared import ENCODERS, SAM
from rssam.errors import UnknownName, UserError


@dataclass(frozen=True)
class EncoderSwap(Baseline):
    """Systems that are not in the paper: another encoder, or SAM's, under one of three heads."""

    name: ClassVar[str] = "encoder-swap"
    title: ClassVar[str] = "Encoder swap"
    version: ClassVar[int] = 1
    published: ClassVar[Optimisation | None] = None
    cli_options: ClassVar[tuple[str, ...]] = ("init",)
    size_option: ClassVar[str] = "encoder"
    sizes: ClassVar[Mapping[Any, str | None]] = {name: encoder.weights for name, encoder in ENCODERS.items()}

    encoder: str = "dinov3_b"
    init: Start = "pretrained"
    tuning: Tuning = "frozen"
    head: Head = "dpt"
    rank: int = 4  # of LoRA, as the Baseline's
    dpt_channels: int = 256  # of DPT's fused maps, as published; the maps before them have one, two and four times that

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownName(f"unknown encoder {self.encoder!r}: choose one of {', '.join(ENCODERS)}")
        for option, choices in (("init", Start), ("tuning", Tuning), ("head", Head)):
            if getattr(self, option) not in get_args(choices):
                raise UnknownName(
                    f"unknown {option} {getattr(self, option)!r}: choose {' or '.join(get_args(choices))}"
                )
        encoder = ENCODERS[self.encoder]
        if self.init == "pretrained" and encoder.weights is None:
            raise UserError(f"{self.encoder} has no published weights: use --init scratch")
        if encoder.network == SAM and self.head != "dpt":
            raise UserError(f"{self.encoder} with head {self.head} is sam-lora or rs-sam: use that system, or head dpt")
        if encoder.stages and self.head != "dpt":
            raise UserError(f"{self.encoder} has maps of four strides, not of 16 alone: use head dpt")
        if self.rank < 1 or self.dpt_channels < 1:
            raise ValueError(f"rank and dpt_channels must be 1 or more, not {self.rank} and {self.dpt_channels}")

    @property
    def encoder_rate(self) -> float:
        """Factor of the encoder's learning rate: a tenth where all of it is tuned, as is usual for pretrained ones."""
        return 0.1 if self.tuning == "full" else 1.0

    @property
    def small(self) -> Mapping[str, Any]:
        """Options of the smallest variant: a small encoder of the same family, and a narrow DPT."""
        return {"encoder": ENCODERS[self.encoder].small, "dpt_channels": 32}

    @staticmethod
    def _network() -> Any:
        from baselines.encoder_swap import network

        return network

    def weights_needed(self) -> tuple[str, ...]:
        """Return the name of the encoder's weights, or nothing if trained from scratch."""
        weights = ENCODERS[self.encoder].weights
        return (weights,) if self.init == "pretrained" and weights is not None else ()
