"""Declare a setting: the profile with which the rows of a table are run, and the overrides of the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import Run
from data_prep.registry import find_dataset, has_published_split
from data_prep.splits import SplitRule
from rssam.contract import Model, cli_options
from rssam.errors import UnknownName
from rssam.sam.encoder_sizes import SMALL_ENCODERS, EncoderInit


@dataclass(frozen=True)
class Setting:
    """Setting under which the rows of a table are run: a profile, and what the command line overrides for every row.

    With a small encoder, which has no published weights, every system takes the options of its smallest variant, so
    that sizes stay comparable. A SAM encoder is that which profile or command line names. `init` "sam" leaves systems
    without a SAM encoder at their ImageNet weights.
    """

    profile: str
    encoder: str | None = None
    init: EncoderInit | None = None
    dataset: str | None = None
    split: Literal["blocked"] | None = None  # a published split stays as it is
    drawn: tuple[str, ...] = ()  # data sets with a published split that were cut anew, so that it is drawn

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise UnknownName(f"unknown profile {self.profile!r}: choose from {', '.join(PROFILES)}")

    def on(self, dataset: str) -> Setting:
        """Return this setting for a table of `dataset`: naming the same data set overrides nothing."""
        return dataclasses.replace(self, dataset=None) if self.dataset == dataset else self

    @property
    def small(self) -> bool:
        """Return whether systems take the options of their smallest variant."""
        return PROFILES[self.profile].small or self.encoder in SMALL_ENCODERS

    @property
    def overridden(self) -> dict[str, str]:
        """Return what the command line overrides, by the names of its options."""
        options = {"encoder": self.encoder, "init": self.init, "dataset": self.dataset, "split": self.split}
        return {name: value for name, value in options.items() if value is not None}

    def run(self, model: Model, dataset: str, seed: int = 0, split_seed: int = 0) -> Run:
        """Return the run of a table's row under this setting.

        Args:
            model: the system as declared.
            dataset: name of the table's data set.
            seed: of the training.
            split_seed: of the split.
        """
        profile = PROFILES[self.profile]
        init = self.init or profile.init
        taken = cli_options(model)
        changes: dict[str, Any] = dict(model.small) if self.small else {}
        if "encoder" in taken:  # small for a small setting too, whatever `small` names
            declared = model.encoder  # type: ignore[attr-defined]
            changes["encoder"] = self.encoder or profile.encoders.get(declared, declared)
        if "init" in taken and init and (init == "scratch" or "encoder" in taken):
            changes["init"] = init
        adapted = dataclasses.replace(model, **changes)  # type: ignore[type-var]
        data = find_dataset(self.dataset or dataset)
        kept = self.split is None or has_published_split(data, self.drawn)
        rule: SplitRule = "random" if kept else "blocked"
        return Run(adapted, data, profile.recipe, seed, split_seed, rule)
