"""Declare a run, and compute its identity and key. The key holds everything that changes the number, and nothing else.

Not in the key: device, workers, paths, log level, the kind of attention kernel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.protocol.recipe import Precision, Recipe
from data_prep.dataset import Dataset
from data_prep.manifest import Manifest
from data_prep.splits import SplitRule
from rssam.contract import Model, Task
from rssam.weights.folder import WeightsFolder

PROTOCOL = 2
"""Raised by hand whenever the same declaration would now give another result."""


@dataclass(frozen=True)
class Run:
    """Training and test of a system on a data set, as declared."""

    model: Model
    dataset: Dataset
    recipe: Recipe
    seed: int = 0
    split_seed: int = 0
    split_rule: SplitRule = "random"

    @property
    def task(self) -> Task:
        """Return what the network is built for: the crop where there is one, otherwise the whole image."""
        side = self.recipe.crop
        size = self.dataset.image_size if side is None else (side, side)
        return Task(self.dataset.classes, size)

    def declared(self) -> dict[str, Any]:
        """Return the declaration as plain values; reports find results by it."""
        return {
            "model": {"name": self.model.name, "version": self.model.version, "options": plain_fields(self.model)},
            # A published set is named by its name; what a user declared of an own one decides the number too.
            "dataset": {"name": self.dataset.name, "version": self.dataset.version, **plain_fields(self.dataset)},
            "recipe": plain_fields(self.recipe.for_model(self.model)),
            "seed": self.seed,
            "split_seed": self.split_seed,
            "split_rule": self.split_rule,
        }


@dataclass(frozen=True)
class ResolvedRun:
    """Run with what only the disk has: digests of data and weights, and the precision of the device.

    `weights` are the checkpoints it starts from, as `WeightsFolder.start` names them.
    """

    run: Run
    data_digest: str
    weights: tuple[str, ...]
    precision: Precision

    def identity(self) -> dict[str, Any]:
        """Return everything that changes the number, as plain values."""
        return {
            **self.run.declared(),
            "data": self.data_digest,
            "weights": list(self.weights),
            "precision": self.precision,
            "protocol": PROTOCOL,
        }

    @property
    def key(self) -> str:
        """Return the name of the result: data set, system, and ten hex digits of the identity's SHA-256."""
        return make_key(self.identity())


def make_key(identity: Mapping[str, Any]) -> str:
    """Return the key that belongs to the identity of a run."""
    return f"{identity['dataset']['name']}-{identity['model']['name']}-{short_digest(identity)}"


def short_digest(identity: Mapping[str, Any]) -> str:
    """Return the first ten hex digits of an identity's SHA-256."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:10]


def canonical(value: Any) -> str:
    """Return JSON text that is equal for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain_fields(declaration: Any) -> dict[str, Any]:
    """Return the fields of a frozen dataclass as JSON values, without those `added` later that have their default."""
    values = {}
    for field in dataclasses.fields(declaration):
        value = getattr(declaration, field.name)
        if field.metadata.get("added") and value == field.default:
            continue
        values[field.name] = to_json_value(value)
    return values


def to_json_value(value: Any) -> Any:
    """Return a field's value as JSON has it: a tuple as a list, at any depth."""
    return [to_json_value(item) for item in value] if isinstance(value, tuple | list) else value


def from_json_value(value: Any) -> Any:
    """Return a field's value from JSON: a list as a tuple, at any depth."""
    return tuple(map(from_json_value, value)) if isinstance(value, list) else value


def resolve_run(run: Run, manifest: Manifest, weights: WeightsFolder, precision: Precision) -> ResolvedRun:
    """Add digests of data and weights to a run.

    Raises WeightsNotFound if the run needs a checkpoint that is not there. Raises DataError if it is to be split by
    scenes and that cannot be drawn, see `Manifest.require_split`.

    Args:
        run: the declaration.
        manifest: of its prepared data.
        weights: the prepared checkpoints.
        precision: in which it trains.
    """
    manifest.require_split(run.split_seed, run.split_rule)
    starts = tuple(weights.start(name) for name in run.model.weights_needed())
    return ResolvedRun(run, manifest.digest(run.split_seed, run.split_rule), starts, precision)
