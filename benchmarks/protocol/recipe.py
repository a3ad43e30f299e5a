"""Recipes, everything about training that changes the number; and profiles, the sizes a recipe is run with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rssam.contract import Model
from rssam.sam.encoder_sizes import EncoderInit

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""As Fabric names them and run keys hold them; mixed keeps parameters in fp32."""
PrecisionChoice = Literal["auto", "bf16", "fp16", "fp32"]
PRECISIONS: Mapping[PrecisionChoice, Precision] = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
PRECISION_NAMES: Mapping[Precision, PrecisionChoice] = {stored: name for name, stored in PRECISIONS.items()}


def _from(origin: Literal["paper", "SAMed", "ours"], default: Any) -> Any:
    """Declare a recipe field whose default was fixed by the paper, taken from SAMed's code, or chosen by us."""
    return field(default=default, metadata={"origin": origin})


def added(default: Any) -> Any:
    """Declare a field added later: at its default it is left out, so that old keys stay as they are."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class Recipe:
    """Everything about training that changes the number. The defaults are the PAPER recipe."""

    # hashed: part of every run key, names and defaults of all fields
    name: str
    optimizer: Literal["adamw", "sgd"] = _from("paper", "adamw")
    rates: tuple[float, ...] = _from("SAMed", (5e-3,))  # several: the lowest validation loss chooses
    weight_decay: float = _from("SAMed", 0.1)
    warmup: int | float = _from("SAMed", 250)  # steps, or as a float the share of all steps
    power: float = _from("SAMed", 0.9)  # of the polynomial decay after the warm-up
    epochs: int = _from("paper", 200)
    batch: int = _from("SAMed", 24)  # images behind one optimiser step
    group: int = _from("ours", 6)  # images that share one Dice term and one BatchNorm: 24 over the paper's four cards
    crop: int | None = _from("ours", None)  # side in pixels of square crops; None trains on whole images
    crops: int = _from("ours", 1)  # of each image an epoch
    limit: int | None = _from("ours", None)  # at most this many images of each split
    augmentation: Literal["none", "flips"] = _from("paper", "none")
    ce_weight: float = _from("paper", 0.2)
    dice_weight: float = _from("paper", 0.8)

    def __post_init__(self) -> None:
        if self.batch % self.group:
            raise ValueError(f"batch {self.batch} is not a whole number of groups of {self.group}")
        if self.crop is None and self.crops != 1:
            raise ValueError(f"{self.crops} crops of each image need the side of a crop")

    def for_model(self, model: Model) -> Recipe:
        """Return the recipe for `model`: FAIR takes the optimiser and weight decay that a system published."""
        if self.name != "fair" or model.published is None:
            return self
        published = model.published
        return dataclasses.replace(self, optimizer=published.optimizer, weight_decay=published.weight_decay)


@dataclass(frozen=True)
class Profile:
    """Recipe with the sizes it is run with: `encoders` replaces SAM's, `init` is how networks start.

    With `small`, systems take the options of their smallest variant; `encoders` decides on SAM's encoder all the same.
    A profile that `claims_nothing` is never compared: no difference from the paper, no test, no best row.
    """

    recipe: Recipe
    summary: str
    encoders: Mapping[str, str] = field(default_factory=dict)
    init: EncoderInit | None = None
    small: bool = False
    claims_nothing: bool = False


PAPER = Recipe(name="paper")


FAIR = Recipe(name="fair", rates=(3e-4, 1e-3, 5e-3), augmentation="flips")


MINI = Recipe(name="mini", rates=(3e-4,), warmup=0.1, epochs=30, batch=5, group=5, crop=256)


SMOKE = Recipe(name="smoke", rates=(3e-4,), warmup=0.1, epochs=1, batch=1, group=1, crop=128, crops=14, limit=8)


DEMO = Recipe(name="demo", rates=(3e-4,), warmup=0.1, epochs=1, batch=4, group=4, crop=64, crops=24, limit=8)


_SMOKE_PROFILE = Profile(
    SMOKE,
    "a few images and tiny encoders: proves the wiring, claims nothing",
    encoders={"vit_b": "vit_t", "vit_l": "vit_s", "vit_h": "vit_s"},
    init="scratch",
    small=True,
    claims_nothing=True,
)


PROFILES: dict[str, Profile] = {
    "smoke": _SMOKE_PROFILE,
    "demo": dataclasses.replace(
        _SMOKE_PROFILE,
        recipe=DEMO,
        summary="tiny encoders that learn wide stand-in roads within minutes on a CPU; claims nothing",
    ),
    "mini": Profile(MINI, "small real data on one GPU, or on a CPU with --encoder vit_t --init scratch"),
    "fair": Profile(FAIR, "the same budget and augmentation for all, the rate of each system chosen by validation"),
    "paper": Profile(PAPER, "one recipe for all systems, as the paper implies"),
}
