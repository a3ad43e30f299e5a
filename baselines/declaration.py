"""Base classes of the declarations: the checks of their options, and the weights they need. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from rssam.errors import UnknownName, UserError
from rssam.sam.encoder_sizes import EncoderInit, check_encoder

BackboneInit = Literal["imagenet", "scratch"]
"""The start of a backbone: weights trained on ImageNet, or random numbers."""


class SamBaseline:
    """Base of declarations whose network has SAM's encoder."""

    cli_options: ClassVar[tuple[str, ...]] = ("encoder", "init")
    encoder: str
    init: EncoderInit

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)

    def weights_needed(self) -> tuple[str, ...]:
        """Return the name of SAM's checkpoint, or nothing if trained from scratch."""
        return (self.encoder,) if self.init == "sam" else ()


class ImageNetBaseline:
    """Base of declarations whose network has a backbone with published weights.

    `sizes` maps each value of the field `size_option` to the name of its weights, or to None if none are published.
    """

    cli_options: ClassVar[tuple[str, ...]] = ("init",)
    size_option: ClassVar[str] = "backbone"
    sizes: ClassVar[Mapping[Any, str | None]]
    init: BackboneInit

    def __post_init__(self) -> None:
        size = getattr(self, self.size_option)
        if size not in self.sizes:
            raise UnknownName(f"unknown {self.size_option} {size!r}: choose one of {', '.join(map(str, self.sizes))}")
        if self.init not in ("imagenet", "scratch"):
            raise UnknownName(f"unknown init {self.init!r}: choose imagenet or scratch")
        if self.init == "imagenet" and self.sizes[size] is None:
            raise UserError(f"{self.size_option} {size} has no published weights: use --init scratch")

    def weights_needed(self) -> tuple[str, ...]:
        """Return the name of the ImageNet weights, or nothing if trained from scratch."""
        weights = self.sizes[getattr(self, self.size_option)]
        return (weights,) if self.init == "imagenet" and weights is not None else ()
