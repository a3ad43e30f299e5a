"""Define the base class of results and submissions: integer counts of every test image, and their origin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.metrics.counts import Average, Counts, Scores, constant_dice, scores
from benchmarks.results.json_files import ResultDamaged
from data_prep.facts import FACTS, describe_data
from data_prep.registry import find_dataset
from rssam.kinds import (
    COUNT,
    LINE,
    LISTS,
    LONGEST_CLASS,
    LONGEST_NAME,
    LONGEST_TITLE,
    STEM,
    WORD,
    Each,
    Leaf,
    matches,
    name,
    one_of,
)

DECLARED = Leaf(
    "a name of a system or a data set",
    lambda value: matches(r"[a-z0-9][a-z0-9_-]{0,59}", value),
)
"""Names in an identity become parts of file names, so they hold no path."""

GIVEN, TITLE, CLASS = name(LONGEST_NAME), name(LONGEST_TITLE), name(LONGEST_CLASS)
DATASET = {"name": DECLARED, "version": COUNT}
TABLE = {"tp": LISTS, "fp": LISTS, "fn": LISTS, "tn": LISTS}
PROVENANCE = {
    "versions?": (Each(LINE, (LINE, None)), None),
    **{f"{part}?": (LINE, None) for part in ("commit", "platform", "device", "device_type", "finished")},
    **{f"{part}?": (COUNT, None) for part in ("cores", "threads", "devices")},
}
KINDS: dict[str, Any] = {
    "key": WORD,
    "schema": COUNT,
    "average": one_of("foreground", "classes"),
    "classes": [CLASS],
    "images": [STEM],
    "counts": TABLE,
    "native_counts": (TABLE, None),
    "data": {
        **FACTS,
        **{f"{part}?": COUNT for part in ("train", "val", "test")},
        **{f"{part}?": [STEM] for part in ("test_scenes", "train_neighbours")},
    },
    "provenance": PROVENANCE,
}
"""Kinds of the common parts in a file; their identities differ."""


@dataclass(frozen=True, eq=False)
class CountedTest(ABC):
    """Integer counts of every image that was tested on, and where they came from; `Result` describes the fields."""

    identity: Mapping[str, Any]
    average: Average
    classes: tuple[str, ...]
    images: tuple[str, ...]
    counts: Counts
    native_counts: Counts | None
    data: Mapping[str, Any]  # `Manifest.facts` of the data set, and more for a run
    provenance: Mapping[str, Any]  # see environment.provenance

    @property
    @abstractmethod
    def key(self) -> str:
        """Return the name of its file, from the identity."""

    @cached_property
    def scores(self) -> Scores:
        """Return the scores under the data set's own average."""
        return scores(self.counts, self.average)

    @cached_property
    def constant_dice(self) -> float:
        """Return the Dice of the best constant answer on the same images."""
        return constant_dice(self.counts, self.average)

    @property
    def data_description(self) -> str:
        """Return a sentence on how complete the data is."""
        return describe_data(self.identity["dataset"]["name"], self.data)

    @property
    def published_split(self) -> bool:
        """Return whether its split came with the data: then no split seed draws another."""
        dataset = self.identity["dataset"]
        if dataset.get("split") in ("folders", "lists"):  # of a user's own data, see `Folder`
            return True
        return find_dataset(dataset["name"]).official_sizes is not None and not self.data.get("cut_anew")

    def counted_json(self) -> dict[str, Any]:
        """Return the common parts and the key, as plain values."""
        return {
            "key": self.key,
            "identity": dict(self.identity),
            "average": self.average,
            "classes": list(self.classes),
            "images": list(self.images),
            "counts": self.counts.to_json(),
            "native_counts": self.native_counts.to_json() if self.native_counts else None,
            "data": dict(self.data),
            "provenance": dict(self.provenance),
        }

    @staticmethod
    def counted_fields(raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the common fields by name, from `counted_json`."""
        native = raw["native_counts"]
        return {
            "identity": raw["identity"],
            "average": raw["average"],
            "classes": tuple(raw["classes"]),
            "images": tuple(raw["images"]),
            "counts": Counts.from_json(raw["counts"]),
            "native_counts": Counts.from_json(native) if native else None,
            "data": raw["data"],
            "provenance": raw["provenance"],
        }

    def require_fit(self, key: str) -> None:
        """Raise ResultDamaged unless the `key` it was stored under, its identity, lists and counts belong together."""
        if self.key != key:
            raise ResultDamaged(f"the key {key} does not belong to its identity ({self.key})")
        if (self.counts.images, self.counts.classes) != (len(self.images), len(self.classes)):
            raise ResultDamaged("the counts do not fit the lists of images and classes")
        if (scenes := self.data.get("test_scenes")) is not None and len(scenes) != len(self.images):
            raise ResultDamaged(f"the scenes of {len(scenes)} test images, and {len(self.images)} images")
        if self.average == "foreground" and len(self.classes) != 1:
            raise ResultDamaged(f"expected one class for the average foreground, found {len(self.classes)} classes")
