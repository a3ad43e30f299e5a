"""What a run is: recipe, declaration, identity and key. Everything that changes the number is in the key; nothing else.

Not in the key: device, workers, paths, log level, the kind of attention kernel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.manifest import Manifest
from data_prep.registry import dataset as find_dataset
from data_prep.splits import SplitRule
from rssam.contract import Model, Task
from rssam.errors import UnknownName
from rssam.sam.encoder_sizes import SMALL_ENCODERS
from rssam.weights.folder import WeightsFolder

PROTOCOL = 1
"""Raised by hand whenever the same declaration would now give another result."""

Precision = Literal["32-true", "bf16-mixed"]


def _from(origin: Literal["paper", "SAMed", "ours"], default: Any) -> Any:
    """A recipe field whose default was fixed by the paper, taken from SAMed's code, or chosen by us."""
    return field(default=default, metadata={"origin": origin})


def added(default: Any) -> Any:
    """A field added to a declaration later: at its default it is left out, so that old keys stay as they are."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class Recipe:
    """Everything about training that changes the number. The defaults are the PAPER recipe."""

    name: str
    optimizer: Literal["adamw", "sgd"] = _from("paper", "adamw")
    rates: tuple[float, ...] = _from("SAMed", (5e-3,))  # several: the lowest validation loss chooses
    weight_decay: float = _from("SAMed", 0.1)
    warmup: int | float = _from("SAMed", 250)  # steps, or as a float the share of all steps
    power: float = _from("SAMed", 0.9)  # of the polynomial decay after the warm-up
    epochs: int = _from("paper", 200)
    batch: int = _from("SAMed", 24)  # images behind one optimiser step
    group: int = _from("paper", 6)  # images that share one Dice term and one BatchNorm: 24 on four cards
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

    def resolve(self, model: Model) -> Recipe:
        """The recipe as `model` is trained with it: FAIR takes each system's published optimiser and weight decay."""
        if self.name != "fair" or model.published is None:
            return self
        published = model.published
        return dataclasses.replace(self, optimizer=published.optimizer, weight_decay=published.weight_decay)


@dataclass(frozen=True)
class Profile:
    """A recipe with the sizes it is run with: `encoders` replaces SAM's, `init` is how networks start.

    With `small`, systems without a SAM encoder take their smallest variant.
    """

    recipe: Recipe
    summary: str
    encoders: Mapping[str, str] = field(default_factory=dict)
    init: Literal["sam", "scratch"] | None = None
    small: bool = False


PAPER = Recipe(name="paper")
FAIR = Recipe(name="fair", rates=(3e-4, 1e-3, 5e-3), augmentation="flips")
MINI = Recipe(name="mini", rates=(3e-4,), warmup=0.1, epochs=30, batch=5, group=5, crop=256)
SMOKE = Recipe(name="smoke", rates=(3e-4,), warmup=0.1, epochs=1, batch=1, group=1, crop=128, crops=14, limit=8)

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        SMOKE,
        "a few images and tiny encoders: proves the wiring, claims nothing",
        encoders={"vit_b": "vit_t", "vit_l": "vit_s", "vit_h": "vit_s"},
        init="scratch",
        small=True,
    ),
    "mini": Profile(MINI, "small real data on one GPU, or on a CPU with --encoder vit_t --init scratch"),
    "fair": Profile(FAIR, "the same budget and augmentation for all, the rate of each system chosen by validation"),
    "paper": Profile(PAPER, "one recipe for all systems, as the paper implies"),
}


@dataclass(frozen=True)
class Run:
    """One training and one test of one system on one data set, as declared."""

    model: Model
    dataset: Dataset
    recipe: Recipe
    seed: int = 0
    split_seed: int = 0
    split_rule: SplitRule = "random"

    @property
    def task(self) -> Task:
        """What the network is built for: the crop where there is one, else the whole image."""
        side = self.recipe.crop
        size = self.dataset.image_size if side is None else (side, side)
        return Task(self.dataset.classes, size)

    def declared(self) -> dict[str, Any]:
        """The declaration as plain values; reports find results by it."""
        return {
            "model": {"name": self.model.name, "version": self.model.version, "options": plain_fields(self.model)},
            # A published set is named by its name; what a user declared of an own one decides the number too.
            "dataset": {"name": self.dataset.name, "version": self.dataset.version, **plain_fields(self.dataset)},
            "recipe": plain_fields(self.recipe.resolve(self.model)),
            "seed": self.seed,
            "split_seed": self.split_seed,
            **({} if self.split_rule == "random" else {"split_rule": self.split_rule}),  # added later: old keys stay
        }


@dataclass(frozen=True)
class ResolvedRun:
    """A run with what only the disk knows: digests of data and weights, and the precision of the device."""

    run: Run
    data_digest: str
    weights_digests: tuple[str, ...]
    precision: Precision

    def identity(self) -> dict[str, Any]:
        """Everything that changes the number, as plain values."""
        return {
            **self.run.declared(),
            "data": self.data_digest,
            "weights": list(self.weights_digests),
            "precision": self.precision,
            "protocol": PROTOCOL,
        }

    @property
    def key(self) -> str:
        """Name of the result: data set, system, and ten hex digits of the identity's SHA-256."""
        return make_key(self.identity())


def make_key(identity: Mapping[str, Any]) -> str:
    """The key that belongs to an identity."""
    digest = hashlib.sha256(canonical(identity).encode()).hexdigest()
    return f"{identity['dataset']['name']}-{identity['model']['name']}-{digest[:10]}"


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain_fields(declaration: Any) -> dict[str, Any]:
    """Fields of a frozen dataclass as JSON values, without those `added` later that have their default."""
    values = {}
    for item in dataclasses.fields(declaration):
        value = getattr(declaration, item.name)
        if item.metadata.get("added") and value == item.default:
            continue
        values[item.name] = list(value) if isinstance(value, tuple) else value
    return values


def require_scenes(manifest: Manifest, rule: SplitRule) -> None:
    """Raise DataError if data is to be split by scenes that was prepared before scenes were looked for."""
    if rule == "blocked" and not (manifest.official_split or manifest.scenes_known):
        raise DataError(
            f"expected the scenes of {manifest.dataset} to split by, found a folder prepared without. Delete the "
            f"folder data/{manifest.dataset} of your home and run: rssam-bench prepare {manifest.dataset} --source DIR"
        )


def resolve(run: Run, manifest: Manifest, weights: WeightsFolder, precision: Precision) -> ResolvedRun:
    """Add what the disk knows.

    Raises `WeightsNotFound` if the run needs a checkpoint that is not there, DataError if it is to be split by scenes
    and the data was prepared before scenes were looked for.
    """
    require_scenes(manifest, run.split_rule)
    digests = tuple(weights.digest(name) for name in run.model.weights_needed())
    return ResolvedRun(run, manifest.digest(run.split_seed, run.split_rule), digests, precision)


@dataclass(frozen=True)
class Setting:
    """How the rows of a table are run: a profile, and what the command line overrides for every row.

    With one of the small encoders that have no published weights, systems without a SAM encoder take their smallest
    variant, so that sizes stay comparable. `init` "sam" leaves those systems at their ImageNet weights.
    """

    profile: str
    encoder: str | None = None
    init: Literal["sam", "scratch"] | None = None
    dataset: str | None = None
    split: Literal["blocked"] | None = None  # a published split stays as it is

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise UnknownName(f"unknown profile {self.profile!r}: choose from {', '.join(PROFILES)}")

    def on(self, dataset: str) -> Setting:
        """This setting for a table of `dataset`: naming that very data set overrides nothing."""
        return dataclasses.replace(self, dataset=None) if self.dataset == dataset else self

    @property
    def small(self) -> bool:
        """Whether systems without a SAM encoder take their smallest variant."""
        return PROFILES[self.profile].small or self.encoder in SMALL_ENCODERS

    def run(self, model: Model, dataset: str, seed: int = 0, split_seed: int = 0) -> Run:
        """The run of one table row under this setting."""
        profile = PROFILES[self.profile]
        init = self.init or profile.init
        names = {item.name for item in dataclasses.fields(model)}  # type: ignore[arg-type]
        changes: dict[str, Any] = {}
        if "encoder" in names:
            declared = model.encoder  # type: ignore[attr-defined]
            changes["encoder"] = self.encoder or profile.encoders.get(declared, declared)
        elif self.small:
            changes |= model.small
        if "init" in names and init and (init == "scratch" or "encoder" in names):
            changes["init"] = init
        adapted = dataclasses.replace(model, **changes)  # type: ignore[type-var]
        data = find_dataset(self.dataset or dataset)
        rule: SplitRule = "blocked" if self.split == "blocked" and data.official_sizes is None else "random"
        return Run(adapted, data, profile.recipe, seed, split_seed, rule)
