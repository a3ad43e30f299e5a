"""Check counts of pixels against the split's images, and probabilities against the counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.metrics.counts import Counts
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from data_prep.manifest import Entry
from reports.bundle.checks.checked import Checked

ROUNDING = 1e-4
"""Probabilities are exact to less than this."""

FINER = 0.25
"""Share of its errors that a test keeps at least where the same prediction is counted at the source's resolution."""


def counted_pixels(checked: Checked) -> Iterator[str]:
    """Yield images whose counts do not add up to their labelled pixels."""
    if checked.entries is not None:
        pixels = [round(entry.labelled * math.prod(entry.size)) for entry in checked.entries]
        yield from _pixel_faults(checked.record.counts, checked.entries, pixels)


def counted_native_pixels(checked: Checked) -> Iterator[str]:
    """Yield images whose native counts do not add up, or fit the counts at the prepared size badly."""
    native, counts, entries = checked.record.native_counts, checked.record.counts, checked.entries
    if native is None or entries is None:
        return
    if native.classes != counts.classes:
        yield f"native resolution: {native.classes} classes, the other counts have {counts.classes}"
        return
    pixels = [math.prod(entry.source_size) for entry in entries]
    yield from (f"native resolution: {fault}" for fault in _pixel_faults(native, entries, pixels))
    if native.images != len(entries):
        return
    truth, finer = counts.tp + counts.fn, native.tp + native.fn
    for index, entry in enumerate(entries):
        if entry.source_size == entry.size:
            yield f"image {entry.stem} has native counts, its split says that its source is no finer"
        elif _is_multiple(entry) and (truth[index] > finer[index]).any():
            yield (
                f"image {entry.stem} has {truth[index].tolist()} pixels of the truth, and fewer at its native "
                f"resolution, {finer[index].tolist()}"
            )


def native_errors(checked: Checked) -> Iterator[str]:
    """Yield counts at the source's resolution that the same predictions, counted at the prepared size, deny."""
    native, counts, record = checked.record.native_counts, checked.record.counts, checked.record
    if native is None or native.tp.shape != counts.tp.shape:
        return
    if isinstance(record, Submission) and record.kind == "scored":  # every n-th of the predicted pixels was counted
        for name in ("tp", "fp", "fn", "tn"):
            few, many = getattr(counts, name), getattr(native, name)
            if (few > many).any():
                yield f"{int(few.sum())} pixels of {name}, and {int(many.sum())} of the same at native resolution"
    finer, coarser = _errors(native), _errors(counts)
    if finer < FINER * coarser and (counts.fp + counts.fn).sum() > 200:
        yield f"{finer:.2%} of the pixels are wrong at native resolution, and {coarser:.2%} at the prepared size"


def probabilities(checked: Checked) -> Iterator[str]:
    """Yield what the histogram of probabilities says of the test, and the counts deny."""
    record = checked.record
    if not isinstance(record, Result) or record.probabilities is None:
        return
    histogram, pooled = record.probabilities.counts, record.counts.pooled()  # [channels, bins, 2]
    edges = np.asarray(record.probabilities.edges)
    if len(histogram) != record.counts.classes:
        yield f"its probabilities are of {len(histogram)} channels, its counts of {record.counts.classes} classes"
        return
    if (edges[0], edges[-1]) != (0, 1) or 0.5 not in edges:
        yield f"its probabilities go from {edges[0]:g} to {edges[-1]:g}, expected 0 to 1 with an edge at 0.5"
        return
    half = int(np.flatnonzero(edges == 0.5)[0])
    truth, total = (pooled.tp + pooled.fn)[0], (pooled.tp + pooled.fp + pooled.fn + pooled.tn)[0]
    above, found = histogram[:, half:].sum(axis=1), np.stack([pooled.fp[0], pooled.tp[0]], axis=1)  # [channels, 2]
    # Of several classes one can win with less than a half, and none without its share.
    possible = histogram[:, edges[1:] >= 1 / len(histogram) - ROUNDING].sum(axis=1)
    for channel, name in enumerate(record.classes):
        pixels, true = int(histogram[channel].sum()), int(histogram[channel, :, 1].sum())
        if (pixels, true) != (total[channel], truth[channel]):
            yield (
                f"its probabilities of {name} are of {pixels} pixels, {true} of them true; its counts are of "
                f"{total[channel]} with {truth[channel]}"
            )
        for state, word in ((1, "true"), (0, "false")):
            low, count = int(above[channel, state]), int(found[channel, state])
            high = low if len(histogram) == 1 else int(possible[channel, state])
            if not low <= count <= high:
                expected = str(low) if low == high else f"{low} to {high}"
                yield f"its probabilities of {name} give {expected} {word} positives, its counts have {count}"
    if len(histogram) > 1:
        mass = histogram.sum(axis=(0, 2))
        least, most = float((mass * edges[:-1]).sum()), float((mass * edges[1:]).sum())
        if not least * (1 - ROUNDING) <= total[0] <= most * (1 + ROUNDING):
            yield f"its probabilities add up to {least:.0f} to {most:.0f} pixels over the classes, expected {total[0]}"


def _pixel_faults(counts: Counts, entries: Sequence[Entry], pixels: Sequence[int]) -> Iterator[str]:
    """Yield images whose counts do not add up to their labelled pixels, class by class and over the classes."""
    if counts.images != len(entries):
        yield f"{counts.images} rows of counts for {len(entries)} images"
        return
    for index, entry in enumerate(entries):
        parts = [getattr(counts, name)[index].tolist() for name in ("tp", "fp", "fn", "tn")]  # of any size: no overflow
        expected, totals = pixels[index], [sum(of_class) for of_class in zip(*parts, strict=True)]
        if any(total != expected for total in totals):
            yield f"image {entry.stem} has {expected} labelled pixels, its counts add up to {totals}"
        elif len(totals) > 1:
            tp, fp, fn, _ = (sum(part) for part in parts)
            if (tp + fn, tp + fp) != (expected, expected):
                yield f"image {entry.stem} has {expected} labelled pixels, which its classes do not share"


def _errors(counts: Counts) -> float:
    """Return the share of wrong pixels, 0..1."""
    wrong = float((counts.fp + counts.fn).sum())
    return wrong / max(wrong + float((counts.tp + counts.tn).sum()), 1)


def _is_multiple(entry: Entry) -> bool:
    """Return whether the prepared mask is every n-th pixel of the source's."""
    factor = entry.source_size[0] // entry.size[0]
    return entry.source_size == (factor * entry.size[0], factor * entry.size[1])
