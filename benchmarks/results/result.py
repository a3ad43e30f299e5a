"""The result of one run: integer counts of every test image, history, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.divergence import DivergedRate
from benchmarks.metrics.probability_histogram import Histogram
from benchmarks.protocol.run import declared_part, make_key
from benchmarks.results.counted_test import CountedTest
from benchmarks.results.json_files import ResultDamaged, decoding
from data_prep.registry import dataset as find_dataset
from rssam.contract import Task

RESULT_SCHEMA = 1


@dataclass(frozen=True)
class Result(CountedTest):
    """What a finished run left: integer counts of every test image, its history, and where it came from.

    `identity` is that of `ResolvedRun`; `data` has train, val and test too, and train_neighbours if scenes are known.
    """

    history: tuple[Mapping[str, float], ...]  # per epoch: epoch, train_loss, val_loss, rate, seconds
    best_epoch: int  # the epoch of lowest validation loss, from 1
    parameters: Mapping[str, int]  # total, trainable, as_published; macs: multiply-adds for an image of the task
    seconds: float  # training and evaluation, all sessions of the run added
    peak_memory: int  # bytes, of the device on CUDA and of the process on CPU
    probabilities: Histogram | None = None  # of all test images together; earlier versions did not count them
    diverged: tuple[DivergedRate, ...] = ()  # rates of the recipe that were out of the choice by validation loss

    @cached_property
    def key(self) -> str:
        """The run's name, from its identity."""
        return make_key(self.identity)

    @property
    def task(self) -> Task:
        """What its network was built for: the crop where its recipe has one, else the whole image."""
        crop = self.identity["recipe"]["crop"]
        whole = find_dataset(self.identity["dataset"]["name"]).image_size
        return Task(self.classes, whole if crop is None else (crop, crop))

    @property
    def collapsed(self) -> bool:
        """Whether the run did not even reach the constant answer: such a run is never tabled as a score."""
        dice = self.scores.dice
        return not dice > self.constant_dice

    def declared(self) -> dict[str, Any]:
        """The declared part of the identity, comparable with `Run.declared`."""
        return declared_part(self.identity)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same result back."""
        return {
            **self.counted_json(),
            "schema": RESULT_SCHEMA,
            "history": [dict(epoch) for epoch in self.history],
            "best_epoch": self.best_epoch,
            "parameters": dict(self.parameters),
            "seconds": self.seconds,
            "peak_memory": self.peak_memory,
            **({"probabilities": self.probabilities.to_json()} if self.probabilities else {}),
            **({"diverged": [rate.to_json() for rate in self.diverged]} if self.diverged else {}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Result:
        """Raises ResultDamaged if a part is missing, of another format, or does not fit its key."""
        with decoding():
            if not isinstance(raw, Mapping):
                raise ResultDamaged(f"it holds a {type(raw).__name__}, where a result is expected")
            schema = raw["schema"]
            if isinstance(schema, int) and schema > RESULT_SCHEMA:
                raise ResultDamaged(
                    f"made by a newer version of rssam-bench (result format {schema}; this one reads {RESULT_SCHEMA}): "
                    "update rssam-bench to read it"
                )
            if schema != RESULT_SCHEMA:
                raise ResultDamaged(f"result format {schema}, this version reads {RESULT_SCHEMA}")
            result = cls(
                **cls.counted_fields(raw),
                history=tuple(raw["history"]),
                best_epoch=raw["best_epoch"],
                parameters=raw["parameters"],
                seconds=raw["seconds"],
                peak_memory=raw["peak_memory"],
                probabilities=Histogram.from_json(raw["probabilities"]) if "probabilities" in raw else None,
                diverged=tuple(DivergedRate.from_json(rate) for rate in raw.get("diverged", ())),
            )
            result.require_fit(raw["key"])
        return result
