"""Check the results and submissions of a bundle against their splits: images, pixels, and truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.recipe import PROFILES
from benchmarks.results.counted_test import CountedTest
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from data_prep.manifest import Entry, Manifest
from data_prep.registry import dataset as find_dataset
from data_prep.splits import Split


@dataclass(frozen=True)
class RebuiltSplit:
    """A split of the bundle, made again by its own rule."""

    manifest: Manifest
    splits: Mapping[Split, tuple[Entry, ...]]


@dataclass(frozen=True)
class RecordChecks:
    """Checks of one bundle's records, each also against the records before it. `splits` are by digest."""

    splits: Mapping[str, RebuiltSplit]
    truths: dict[tuple[str, str], tuple[Any, str]] = field(default_factory=dict)  # of an image, and the file it is of

    def faults(self, record: Result | Submission, file: str) -> Iterator[str]:
        """Yield all problems of a record that was read from `file`, a sentence each."""
        yield from self._counted(record, file)
        yield from self._result(record) if isinstance(record, Result) else self._submission(record)

    def _counted(self, record: CountedTest, file: str) -> Iterator[str]:
        """Problems with key, classes, and the pixels and truth of each image."""
        identity, images = record.identity, record.images
        dataset = find_dataset(identity["dataset"]["name"])
        if (record.classes, record.average) != (dataset.classes, dataset.average):
            yield f"classes {', '.join(record.classes)} under the average {record.average!r} are not its data set's"
        if len(set(images)) != len(images):
            yield "an image is counted twice"
        split = self.splits.get(identity["data"])
        if split is None:
            yield f"no split in the bundle has its digest {str(identity['data'])[:12]}"
            return
        entries = {entry.stem: entry for entry in split.manifest.entries}
        if strangers := [stem for stem in images if stem not in entries]:
            yield f"{len(strangers)} images are not in its data set: {', '.join(strangers[:3])}"
            return
        yield from _pixel_faults(record.counts, images, lambda stem: _labelled(entries[stem]))
        if record.native_counts is not None:
            native = _pixel_faults(record.native_counts, images, lambda stem: _area(entries[stem].source_size))
            yield from (f"native resolution: {fault}" for fault in native)
        positives = record.counts.tp + record.counts.fn
        for index, stem in enumerate(images):
            truth = positives[index].tolist()
            known, other = self.truths.setdefault((identity["data"], stem), (truth, file))
            if known != truth:
                yield f"image {stem} has {truth} pixels of the truth, and {known} in {other}"

    def _result(self, result: Result) -> Iterator[str]:
        """Problems of a run with its epochs, recipe, split sizes and test images."""
        identity, history = result.identity, result.history
        losses = [float(epoch["val_loss"]) for epoch in history]
        if [epoch["epoch"] for epoch in history] != list(range(1, len(history) + 1)):
            yield "its epochs are not numbered from 1"
        elif len(history) != identity["recipe"]["epochs"]:
            yield f"{len(history)} epochs, its recipe has {identity['recipe']['epochs']}"
        elif not 1 <= result.best_epoch <= len(losses) or losses[result.best_epoch - 1] != min(losses):
            yield f"epoch {result.best_epoch} is not the one of lowest validation loss"
        profile = PROFILES.get(identity["recipe"]["name"])
        if profile is None:
            yield f"its recipe {identity['recipe']['name']!r} is not one of this version"
        split = self.splits.get(identity["data"])
        if split is None:
            return
        limit = identity["recipe"]["limit"]
        for part, entries in split.splits.items():
            if result.data[part] != len(entries[:limit]):
                yield f"{result.data[part]} {part} images, its split has {len(entries[:limit])}"
        if list(result.images) != [entry.stem for entry in split.splits["test"][:limit]]:
            yield "its images are not the test images of its split, in their order"

    def _submission(self, submission: Submission) -> Iterator[str]:
        split, part = self.splits.get(submission.identity["data"]), submission.identity["images"]
        if split is None:
            return
        all_entries = sorted(split.manifest.entries, key=lambda entry: entry.stem)
        expected = split.splits["test"] if part == "test" else all_entries
        if list(submission.images) != [entry.stem for entry in expected]:
            yield f"its images are not the {part} images of its split, in their order"


def _pixel_faults(counts: Counts, images: tuple[str, ...], pixels: Callable[[str], int]) -> Iterator[str]:
    """Images whose counts do not add up to their pixels, class by class and over the classes."""
    if counts.images != len(images):
        yield f"{counts.images} rows of counts for {len(images)} images"
        return
    for index, stem in enumerate(images):
        tp, fp, fn, tn = (part[index] for part in (counts.tp, counts.fp, counts.fn, counts.tn))
        expected = pixels(stem)
        totals = (tp + fp + fn + tn).tolist()
        if any(total != expected for total in totals):
            yield f"image {stem} has {expected} labelled pixels, its counts add up to {totals}"
        elif len(totals) > 1 and (int((tp + fn).sum()), int((tp + fp).sum())) != (expected, expected):
            yield f"image {stem} has {expected} labelled pixels, which its classes do not share"


def _labelled(entry: Entry) -> int:
    return round(entry.labelled * _area(entry.size))


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
