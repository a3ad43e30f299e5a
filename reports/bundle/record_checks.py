"""Whether a result or a submission of a bundle agrees with its split: its images, its pixels, and its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
    """A split of the bundle, dealt again."""

    manifest: Manifest
    splits: Mapping[Split, tuple[Entry, ...]]


@dataclass(frozen=True)
class Records:
    """Checks of one bundle's records; each is compared with those before it. `splits` by digest."""

    splits: Mapping[str, RebuiltSplit]
    truths: dict[tuple[str, str], tuple[Any, str]] = field(default_factory=dict)  # of an image, and the file it is of

    def faults(self, one: Result | Submission, file: str) -> Iterator[str]:
        """All problems of a record that was read from `file`, a sentence each."""
        yield from self._counted(one, file)
        yield from self._result(one) if isinstance(one, Result) else self._submission(one)

    def _counted(self, one: CountedTest, file: str) -> Iterator[str]:
        """What holds of all counts: their key, their classes, and that each image has its pixels and its truth."""
        if Path(file).stem != one.key:
            yield f"its name is not its key, {one.key}"
        dataset = find_dataset(one.identity["dataset"]["name"])
        if (one.classes, one.average) != (dataset.classes, dataset.average):
            yield f"classes {', '.join(one.classes)} under the average {one.average!r} are not its data set's"
        if len(set(one.images)) != len(one.images):
            yield "an image is counted twice"
        split = self.splits.get(one.identity["data"])
        if split is None:
            yield f"no split in the bundle has its digest {str(one.identity['data'])[:12]}"
            return
        entries = {entry.stem: entry for entry in split.manifest.entries}
        if strangers := [stem for stem in one.images if stem not in entries]:
            yield f"{len(strangers)} images are not in its data set: {', '.join(strangers[:3])}"
            return
        yield from _pixel_faults(one.counts, one.images, lambda stem: _labelled(entries[stem]))
        if one.native_counts is not None:
            native = _pixel_faults(one.native_counts, one.images, lambda stem: _area(entries[stem].source_size))
            yield from (f"native resolution: {fault}" for fault in native)
        positives = one.counts.tp + one.counts.fn
        for index, stem in enumerate(one.images):
            truth = positives[index].tolist()
            known, other = self.truths.setdefault((one.identity["data"], stem), (truth, file))
            if known != truth:
                yield f"image {stem} has {truth} pixels of the truth, and {known} in {other}"

    def _result(self, result: Result) -> Iterator[str]:
        """What holds of a run: its test images, its split sizes, and that its epoch is the one of lowest loss."""
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

    def _submission(self, one: Submission) -> Iterator[str]:
        split = self.splits.get(one.identity["data"])
        if split is None:
            return
        every = sorted(split.manifest.entries, key=lambda entry: entry.stem)
        wanted = split.splits["test"] if one.identity["images"] == "test" else every
        if list(one.images) != [entry.stem for entry in wanted]:
            yield f"its images are not the {one.identity['images']} images of its split, in their order"


def _pixel_faults(counts: Counts, images: tuple[str, ...], pixels: Callable[[str], int]) -> Iterator[str]:
    """Images whose counts do not add up to their pixels, class by class and over the classes."""
    if counts.images != len(images):
        yield f"{counts.images} rows of counts for {len(images)} images"
        return
    for index, stem in enumerate(images):
        tp, fp, fn, tn = (part[index] for part in (counts.tp, counts.fp, counts.fn, counts.tn))
        wanted = pixels(stem)
        found = (tp + fp + fn + tn).tolist()
        if any(total != wanted for total in found):
            yield f"image {stem} has {wanted} labelled pixels, its counts add up to {found}"
        elif len(found) > 1 and (int((tp + fn).sum()), int((tp + fp).sum())) != (wanted, wanted):
            yield f"image {stem} has {wanted} labelled pixels, which its classes do not share"


def _labelled(entry: Entry) -> int:
    return round(entry.labelled * _area(entry.size))


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
