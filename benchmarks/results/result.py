"""Define the result of a run: integer counts of every test image, history, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.divergence import DIVERGED, DivergedRate
from benchmarks.metrics.probability_histogram import Histogram
from benchmarks.protocol.custom import FIELD, OPTIONS
from benchmarks.protocol.recipe import PRECISION_NAMES
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import make_key
from benchmarks.results.counted_test import DATASET, DECLARED, GIVEN, KINDS, PROVENANCE, TITLE, CountedTest
from benchmarks.results.json_files import ResultDamaged, decoding, require_schema
from data_prep.registry import find_dataset
from rssam.contract import Task
from rssam.kinds import (
    COUNT,
    FIGURE,
    LINE,
    LISTS,
    NUMBER,
    SECONDS,
    Each,
    Leaf,
    is_line,
    matches,
    one_of,
    whole,
)
from rssam.weights.folder import CUSTOM, custom_digits

RESULT_SCHEMA = 2

START = Leaf(
    f"the digest of a checkpoint, after {CUSTOM} that of 64 digits",
    lambda value: is_line(value) and (not value.startswith(CUSTOM) or matches(rf"{CUSTOM}[0-9a-f]{{64}}", value)),
)
IDENTITY: dict[str, Any] = {
    "model": {"name": DECLARED, "version": COUNT, "options": OPTIONS},
    "dataset": DATASET,
    "recipe": {"name": GIVEN, "crop?": (whole(1, 1 << 16), None), "rates?": [NUMBER]},
    "seed": whole(0, 2**32 - 1),
    "split_seed": COUNT,
    "split_rule": one_of("random", "blocked"),
    "data": LINE,
    "weights": [START],
    "precision": one_of(*PRECISION_NAMES),
    "protocol": COUNT,
}
SYSTEM = {
    "title": TITLE,
    "class": LINE,
    "defaults": OPTIONS,
    "added": [FIELD],
    "small": OPTIONS,
    "cli_options": [FIELD],
    "published": ({"optimizer": one_of("adamw", "sgd"), "weight_decay": SECONDS}, None),
    "source_sha256?": (LINE, None),
    "source_files?": Each(LINE, LINE, most=10_000),
}
RESULT_KINDS: dict[str, Any] = {
    "identity": IDENTITY,
    **KINDS,
    "provenance": {**PROVENANCE, "system?": (SYSTEM, None)},
    "history": [Each(FIELD, FIGURE)],
    "best_epoch": COUNT,
    "best_rate?": NUMBER,
    "best_loss?": NUMBER,
    "parameters": Each(FIELD, COUNT),
    "seconds": SECONDS,
    "peak_memory": COUNT,
    "diverged?": [DIVERGED],
    "probabilities?": {"edges": [NUMBER], "counts": LISTS},
}
"""Kinds of all parts of a result in a file."""


AS_THEY_ARE = ("best_epoch", "best_rate", "best_loss", "parameters", "seconds", "peak_memory")
"""Fields of a result that a file holds unchanged; those that are None are left out."""


def require_consistent(identity: Mapping[str, Any], system: Mapping[str, Any] | None) -> None:
    """Raise ResultDamaged unless the record of a system of the user's own is one that its options can be set in."""
    options = identity["model"]["options"]
    replaced, given = ["encoder", "init"], [options]
    if system is not None:
        defaults = system["defaults"]
        given.append(defaults)
        if identity["model"]["name"] not in MODELS:
            replaced = system["cli_options"]
        for part in ("added", "small", "cli_options"):
            if unknown := set(system[part]) - set(defaults):
                raise ResultDamaged(f"{part} of its system names {min(unknown)}, which is no option of it")
    if odd := [name for name in replaced if not all(is_line(values.get(name, "")) for values in given)]:
        raise ResultDamaged(f"its option {odd[0]} is expected to be a line")


class RunRecord:
    """Names of a run, finished or failed, that its identity gives."""

    identity: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """Return the run's name, from its identity."""
        return make_key(self.identity)

    @property
    def custom_weights(self) -> tuple[str, ...]:
        """Return the first digits of the checkpoints it started from that are not the published files."""
        return custom_digits(self.identity["weights"])

    def declared(self) -> dict[str, Any]:
        """Return the declared part of the identity, comparable with `Run.declared`."""
        parts = ("model", "dataset", "recipe", "seed", "split_seed", "split_rule")
        return {name: self.identity[name] for name in parts}


@dataclass(frozen=True)
class Result(RunRecord, CountedTest):
    """Result of a finished run: integer counts of every test image, its history, and where it came from.

    `key` is its name, `scores` are computed under `average`. `constant_dice` is the Dice of the best constant answer.

    Attributes:
        identity: everything that decides the numbers, as plain values: system, data, recipe, seeds, precision.
        average: "foreground" or "classes", see `scores`.
        classes: names of the classes counted.
        images: stems of the test images, in the order of the counts.
        counts: of each test image, at the size of the prepared masks.
        native_counts: the same at the size of the source's masks; None if images were not shrunk.
        data: how complete the data are, and the numbers of images in "train", "val" and "test".
        provenance: versions, commit, device and time.
        history: for each epoch "epoch", "train_loss", "val_loss", "rate" and "seconds"; in fp16 also "overflows".
        best_epoch: the epoch of lowest validation loss, from 1, whose network was tested.
        parameters: numbers "total", "trainable" and "as_published"; "macs" are multiply-adds for an image of the task.
        seconds: of training and test, all sessions of the run added.
        peak_memory: bytes, of the device on CUDA and of the process on the CPU.
        probabilities: histogram of all test images together; None if they were not counted.
        diverged: rates of the recipe whose loss was no number, with the epoch.
        best_rate: the learning rate that was chosen by validation; None in results of earlier versions.
        best_loss: validation loss of the best epoch; None in results of earlier versions.

    Examples:
        The run of docs/python.md:

        >>> from benchmarks import fine_tune
        >>> result = fine_tune("roads", profile="demo", home="example", progress=False).result
        >>> result.classes, result.counts.tp.shape, 0 <= result.scores.dice <= 1
        (('road',), (1, 1), True)
    """

    history: tuple[Mapping[str, float], ...]
    best_epoch: int
    parameters: Mapping[str, int]
    seconds: float
    peak_memory: int
    probabilities: Histogram | None = None
    diverged: tuple[DivergedRate, ...] = ()
    best_rate: float | None = None
    best_loss: float | None = None

    @property
    def task(self) -> Task:
        """Return what its network was built for: the crop where its recipe has one, otherwise the whole image."""
        crop = self.identity["recipe"]["crop"]
        whole = find_dataset(self.identity["dataset"]["name"]).image_size
        return Task(self.classes, whole if crop is None else (crop, crop))

    @property
    def overflows(self) -> int:
        """Return how many optimiser steps were left out because their gradients overflowed float16."""
        return sum(int(epoch.get("overflows", 0)) for epoch in self.history)

    @property
    def collapsed(self) -> bool:
        """Return whether Dice is NaN or not above `constant_dice`: such a run is never tabled as a score."""
        dice = self.scores.dice
        return not dice > self.constant_dice

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives the same result back."""
        return {
            **self.counted_json(),
            "schema": RESULT_SCHEMA,
            "history": [dict(epoch) for epoch in self.history],
            **{name: value for name in AS_THEY_ARE if (value := getattr(self, name)) is not None},
            **({"probabilities": self.probabilities.to_json()} if self.probabilities else {}),
            **({"diverged": [rate.to_json() for rate in self.diverged]} if self.diverged else {}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Result:
        """Return the result of plain values.

        Raises ResultDamaged, a UserError, if a part is missing, of another format, or does not fit its key.
        """
        require_schema(raw, RESULT_SCHEMA, "result")
        with decoding(raw, RESULT_KINDS):
            result = cls(
                **cls.counted_fields(raw),
                history=tuple(raw["history"]),
                **{name: raw[name] for name in AS_THEY_ARE if name in raw},
                probabilities=Histogram.from_json(raw["probabilities"]) if "probabilities" in raw else None,
                diverged=tuple(DivergedRate.from_json(rate) for rate in raw.get("diverged", ())),
            )
            result.require_fit(raw["key"])
            require_consistent(result.identity, result.provenance.get("system"))
        return result
