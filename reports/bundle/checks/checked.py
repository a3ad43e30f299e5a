"""Give checks a record with the split and the data set that it names, or the whole bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.results.data_record import Splits
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from data_prep.dataset import Dataset
from data_prep.datasets.folder import Folder
from data_prep.manifest import Entry, Manifest
from data_prep.registry import BUILT_IN, find_dataset
from data_prep.splits import Split
from rssam.amounts import shortened
from rssam.kinds import is_line


@dataclass(frozen=True)
class RebuiltSplit:
    """Split of the bundle, made again by its own rule."""

    manifest: Manifest
    splits: Mapping[Split, tuple[Entry, ...]]

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Return the images by their stems."""
        return {entry.stem: entry for entry in self.manifest.entries}

    @cached_property
    def dataset(self) -> Dataset:
        """Return the data set it names. Raises UnknownDataset if there is no such data set."""
        return find_dataset(self.manifest.dataset)

    @cached_property
    def full(self) -> Manifest:
        """Return the manifest with the number of published pairs, which the data set declares and no split says."""
        return replace(self.manifest, expected_pairs=self.dataset.expected_pairs)

    def used(self, identity: Mapping[str, Any]) -> Splits:
        """Return the images of each split that a run used: as many as its recipe allows."""
        limit = identity["recipe"]["limit"]
        return {name: entries[:limit] for name, entries in self.splits.items()}

    @property
    def may_be_tiled(self) -> bool:
        """Return whether images may be tiles of larger ones, by the declaration of the data set."""
        if isinstance(self.dataset, Folder):
            return self.dataset.fit == "tile"
        cut_anew = self.dataset.official_sizes is not None and not self.manifest.official_split
        return cut_anew or self.dataset.name not in BUILT_IN


@dataclass(frozen=True, eq=False)
class Checked:
    """Result or submission, the file it was read from, and the bundle's split that has its digest."""

    record: Result | Submission
    file: str
    split: RebuiltSplit | None

    @property
    def identity(self) -> Mapping[str, Any]:
        """Return the identity of the record."""
        return self.record.identity

    @cached_property
    def dataset(self) -> Dataset:
        """Return the data set it was counted on. Raises UnknownDataset if there is no such data set."""
        return find_dataset(self.identity["dataset"]["name"])

    @cached_property
    def entries(self) -> tuple[Entry, ...] | None:
        """Return the images it counts, in their order; None without a split, or if some image is not in it."""
        if self.split is None or not set(self.record.images) <= set(self.split.entries):
            return None
        return tuple(self.split.entries[stem] for stem in self.record.images)


Finding = tuple[str, str]
"""A file of the bundle, and a sentence on it."""


@dataclass(frozen=True, eq=False)
class WholeBundle:
    """Bundle, unpacked, with its records, splits and failures that could be read, and the tables that it names."""

    folder: Path
    tables: Sequence[str]
    records: Sequence[Checked]
    splits: Mapping[str, RebuiltSplit]
    failed: Sequence[tuple[str, FailedRun]]

    @property
    def identities(self) -> list[Mapping[str, Any]]:
        """Return the identities of its records and failures."""
        return [*(checked.identity for checked in self.records), *(failed.identity for _, failed in self.failed)]

    @property
    def results(self) -> list[tuple[str, Result]]:
        """Return its results with their files."""
        return [(checked.file, checked.record) for checked in self.records if isinstance(checked.record, Result)]

    @property
    def submissions(self) -> list[tuple[str, Submission]]:
        """Return its submissions with their files."""
        return [(checked.file, checked.record) for checked in self.records if isinstance(checked.record, Submission)]


def is_text(value: str) -> bool:
    """Return whether a text is one printable line of bounded length, not empty."""
    return bool(value) and is_line(value, 200)


def some(names: Iterable[object]) -> str:
    """Return the first few names in a line."""
    return shortened([str(name) for name in names], 3)
