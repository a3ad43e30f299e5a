"""Base classes of the declarations: the checks of their options, and the weights they need. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rssam.contract import Task
from rssam.errors import UnknownName, UserError
from rssam.sam.encoder_sizes import EncoderInit, check_encoder

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights.folder import WeightsFolder

BackboneInit = Literal["imagenet", "scratch"]
"""The start of a backbone: weights trained on ImageNet, or random numbers."""


class Baseline:
    """Base of all declarations, whose fields are the options of `architecture` in their `network.py`."""

    @staticmethod
    def _network() -> Any:
        """Return the module with `architecture(task, **options)` and `load(net, path)`, which imports torch."""
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters; see `rssam.contract.Model.architecture`."""
        net: nn.Module = self._network().architecture(task, **self._options())
        return net

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; see `rssam.contract.Model.build`."""
        paths = [weights.path_of(name) for name in self.weights_needed()]  # raises before the network is built
        net = self.architecture(task)
        for path in paths:
            self._network().load(net, path)
        return net

    def weights_needed(self) -> tuple[str, ...]:
        """Return nothing: without published weights it starts at random."""
        return ()


@dataclass(frozen=True)
class SamBaseline(Baseline):
    """Base of declarations whose network has SAM's encoder."""

    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}
    cli_options: ClassVar[tuple[str, ...]] = ("encoder", "init")

    encoder: str = "vit_b"
    init: EncoderInit = "sam"

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)

    def weights_needed(self) -> tuple[str, ...]:
        """Return the name of SAM's checkpoint, or nothing if trained from scratch."""
        return (self.encoder,) if self.init == "sam" else ()


class ImageNetBaseline(Baseline):
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

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in super()._options().items() if name != "init"}  # all parameters train

    def weights_needed(self) -> tuple[str, ...]:
        """Return the name of the ImageNet weights, or nothing if trained from scratch."""
        weights = self.sizes[getattr(self, self.size_option)]
        return (weights,) if self.init == "imagenet" and weights is not None else ()
