"""Select the images of a prepared data set that are counted: those of a test split, or all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.execution.session import require_unchanged
from benchmarks.results.data_record import shared_scenes
from benchmarks.results.home import Home
from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset
from data_prep.splits import ImageSelection, SplitRule
from rssam.contract import Task


@dataclass(frozen=True)
class ImagesToScore:
    """Images of a prepared data set that are to be counted."""

    dataset: Dataset
    manifest: Manifest
    folder: Path
    entries: tuple[Entry, ...]
    selection: ImageSelection
    split_seed: int
    split_rule: SplitRule

    @property
    def digest(self) -> str:
        """Return the digest of data and split, as in the identity of a run."""
        return self.manifest.digest(self.split_seed, self.split_rule)

    @property
    def split_note(self) -> str:
        """Return a sentence where the rule of the split changes nothing; otherwise empty."""
        return self.manifest.split_note(self.split_rule)

    @property
    def task(self) -> Task:
        """Return classes and size of the images."""
        return Task(self.dataset.classes, self.manifest.image_size)

    @property
    def record(self) -> dict[str, Any]:
        """Return what reports say of the data."""
        return {**self.manifest.facts, **shared_scenes(self.entries)}


def select_test_images(
    home: Path, name: str, split_seed: int, rule: SplitRule, selection: ImageSelection = "test"
) -> ImagesToScore:
    """Return the images to count, after comparing their files with their digests.

    Args:
        home: the home folder.
        name: a prepared data set.
        split_seed: seed of the split.
        rule: how the split is drawn.
        selection: the images of the test split, or all.

    Raises UnknownDataset or NotPrepared; DataError if a file was changed, if there is no such image, or
    if whole scenes cannot be split.
    """
    dataset = find_dataset(name)
    folder = Home(home).dataset(name)
    manifest = load_manifest(folder, name)
    manifest.require_split(split_seed, rule)
    splits = manifest.splits(split_seed, rule)
    entries = splits["test"] if selection == "test" else tuple(sorted(manifest.entries, key=lambda entry: entry.stem))
    if not entries:
        raise DataError(f"{name} has no test images: {len(manifest.entries)} pairs are too few to split; prepare more")
    require_unchanged(folder, name, entries)
    return ImagesToScore(dataset, manifest, folder, entries, selection, split_seed, rule)
