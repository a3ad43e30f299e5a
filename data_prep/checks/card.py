"""Examine a prepared data set for its data card: contents, copies, abutting tiles, and what may mislead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from data_prep.checks.adjacent_tiles import Seam, find_seams, representatives
from data_prep.checks.duplicates import NearCopies, exact_copies, near_copies
from data_prep.checks.fingerprints import fingerprint_all
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import verify_files
from data_prep.processes import Progress, map_in_threads
from data_prep.rules import sentences
from data_prep.splits import SPLITS, Split, SplitRule
from rssam.contract import IGNORE

IMPLIED_FOREGROUND: Mapping[str, tuple[float, float]] = {"deepglobe": (0.0410, 0.0416), "whu": (0.1110, 0.1117)}
"""Foreground share of the test pixels that the paper's precision, recall and accuracy allow."""

LabelHistogram = Mapping[int, int]
"""Pixels of each label in a mask."""


@dataclass(frozen=True)
class SplitFacts:
    """Contents of a split."""

    split: Split
    images: int
    shares: tuple[float, ...]  # of the labelled pixels, of each class, 0..1; empty without a labelled pixel
    absent: tuple[str, ...]  # classes without a pixel


@dataclass(frozen=True)
class Division:
    """Splits that a rule gives with split seed 0, and the abutting pairs that they part."""

    rule: SplitRule | Literal["official"]
    splits: tuple[SplitFacts, ...]
    parted: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Copies:
    """Images with identical pixels, and the splits they lie in."""

    stems: tuple[str, ...]
    splits: tuple[Split, ...]

    @property
    def across(self) -> bool:
        """Return whether the copies lie in more than one split."""
        return len(set(self.splits)) > 1


@dataclass(frozen=True)
class Near:
    """Near copies, and the splits they lie in."""

    pair: NearCopies
    splits: tuple[Split, Split]


@dataclass(frozen=True)
class Card:
    """Findings on a prepared data set. Splits are those of split seed 0."""

    dataset: str
    describe: str
    origin: str
    complete: bool
    pairs: int  # of the source
    tiles: int  # prepared from them; as many as pairs unless images were cut
    expected_pairs: int | None
    without_mask: int
    official_split: bool
    digest: str
    classes: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]  # "512x512" (width x height) as prepared, and how many
    source_sizes: tuple[tuple[str, int], ...]
    labels: tuple[tuple[int, int], ...]  # every value that masks hold, and in how many masks
    ignored: float  # share of the prepared pixels that count nowhere, 0..1
    divisions: tuple[Division, ...]  # the first one is in use unless --split asks for another
    implied: tuple[float, float] | None
    damaged: tuple[str, ...]
    skipped: tuple[str, ...]
    exact: tuple[Copies, ...]
    near: tuple[Near, ...]
    seams: tuple[Seam, ...]  # but those between tiles of one image, which never part
    next_seam: Seam | None  # the best pair that was not taken for a seam
    scenes_known: bool  # whether the manifest has scenes, so that --split blocked can be used
    blank: tuple[str, ...]  # images of one colour
    empty: tuple[str, ...]  # masks without a pixel of any class
    rules: Mapping[str, str]


def examine(folder: Path, manifest: Manifest, workers: int, progress: Progress) -> Card:
    """Read every file of a prepared folder and return all findings; damaged files are a finding, not an error.

    Args:
        folder: the prepared folder.
        manifest: its manifest.
        workers: threads.
        progress: called after each file.
    """
    entries = tuple(sorted(manifest.entries, key=lambda entry: entry.stem))
    damaged = verify_files(folder, entries, progress)
    fingerprints = fingerprint_all(folder, entries, workers, progress)
    histograms = _histograms(folder, entries, workers, progress)
    already_listed = {line.partition(":")[0] for line in damaged}
    unreadable = [entry.image for entry, result in zip(entries, fingerprints, strict=True) if result is None]
    unreadable += [entry.mask for entry in entries if entry.stem not in histograms]
    damaged += [f"{name}: cannot be read" for name in unreadable if name not in already_listed]
    distinct = representatives(entries, fingerprints)
    source = {entry.stem: entry.source for entry in entries}
    seams = find_seams(distinct)
    abutting = tuple(seam for seam in seams.abutting if source[seam.first] != source[seam.second])
    joined = {frozenset((seam.first, seam.second)) for seam in seams.abutting}
    refused = [
        seam
        for seam in seams.refused
        if frozenset((seam.first, seam.second)) not in joined and source[seam.first] != source[seam.second]
    ]
    split_of = manifest.split_by_stem(0)
    return Card(
        dataset=manifest.dataset,
        describe=manifest.describe(),
        origin=manifest.origin,
        complete=manifest.complete,
        pairs=len(set(source.values())),
        tiles=len(entries),
        expected_pairs=manifest.expected_pairs,
        without_mask=manifest.without_mask,
        official_split=manifest.official_split,
        digest=manifest.digest(0),
        classes=manifest.classes,
        sizes=_counted(entry.size for entry in entries),
        source_sizes=_counted({entry.source: entry.source_size for entry in entries}.values()),
        labels=tuple(sorted(Counter(label for histogram in histograms.values() for label in histogram).items())),
        ignored=1 - manifest.labelled if entries else 0.0,
        divisions=_divisions(manifest, entries, histograms, abutting),
        implied=IMPLIED_FOREGROUND.get(manifest.dataset),
        damaged=tuple(damaged),
        skipped=manifest.skipped,
        exact=tuple(
            Copies(tuple(entry.stem for entry in copies), tuple(split_of[entry.stem] for entry in copies))
            for copies in exact_copies(entries)
        ),
        near=tuple(Near(pair, (split_of[pair.first], split_of[pair.second])) for pair in near_copies(distinct)),
        seams=abutting,
        next_seam=refused[0] if refused else None,
        scenes_known=manifest.scenes_known,
        blank=tuple(
            entry.stem
            for entry, fingerprint in zip(entries, fingerprints, strict=True)
            if fingerprint is not None and fingerprint.blank
        ),
        empty=tuple(stem for stem, histogram in histograms.items() if not sum(_classes(histogram, manifest.classes))),
        rules=sentences(manifest.rules),
    )


def _divisions(
    manifest: Manifest, entries: Sequence[Entry], histograms: Mapping[str, LabelHistogram], seams: Sequence[Seam]
) -> tuple[Division, ...]:
    rules: tuple[SplitRule, ...] = ("random", "blocked")
    if manifest.official_split or not manifest.scenes_known:
        rules = ("random",)
    members: dict[str, list[str]] = {}
    for entry in entries:
        members.setdefault(entry.group, []).append(entry.stem)
    copies = {entry.stem: members[entry.group] for entry in entries}
    divisions = []
    for rule in rules:
        split_of = manifest.split_by_stem(0, rule)
        facts = tuple(
            _facts(split, [stem for stem in split_of if split_of[stem] == split], histograms, manifest.classes)
            for split in SPLITS
        )
        # A seam names one of several identical images; a copy of it in another split parts the pair too.
        parted = tuple(
            (seam.first, seam.second)
            for seam in seams
            if len({split_of[stem] for end in (seam.first, seam.second) for stem in copies[end]}) > 1
        )
        divisions.append(Division("official" if manifest.official_split else rule, facts, parted))
    return tuple(divisions)


def _facts(
    split: Split, stems: Sequence[str], histograms: Mapping[str, LabelHistogram], classes: tuple[str, ...]
) -> SplitFacts:
    total = Counter[int]()
    for stem in stems:
        total.update(histograms.get(stem, {}))
    pixels = _classes(total, classes)
    labelled = sum(count for label, count in total.items() if label != IGNORE)
    shares = tuple(count / labelled for count in pixels) if labelled else ()
    absent = tuple(name for name, count in zip(classes, pixels, strict=True) if not count) if stems else ()
    return SplitFacts(split, len(stems), shares, absent)


def _classes(histogram: LabelHistogram, classes: tuple[str, ...]) -> list[int]:
    """Return the pixels of each class: with one class label 0 is background, with several it is the first of them."""
    first = 1 if len(classes) == 1 else 0
    return [histogram.get(first + number, 0) for number in range(len(classes))]


def _histograms(folder: Path, entries: Sequence[Entry], workers: int, progress: Progress) -> dict[str, LabelHistogram]:
    """Return the pixels of each label by stem, without masks that cannot be read."""

    def read(entry: Entry) -> LabelHistogram | None:
        try:
            with Image.open(folder / entry.mask) as picture:
                counts = np.bincount(np.asarray(picture, np.uint8).ravel())
        except (OSError, SyntaxError, ValueError):
            return None
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}

    histograms = map_in_threads(read, entries, workers, progress, "count labels")
    return {
        entry.stem: histogram for entry, histogram in zip(entries, histograms, strict=True) if histogram is not None
    }


def _counted(sizes: Iterable[tuple[int, int]]) -> tuple[tuple[str, int], ...]:
    """Return (height, width) pairs as "width x height" with their number, the commonest first."""
    return tuple(Counter(f"{width}x{height}" for height, width in sizes).most_common())
