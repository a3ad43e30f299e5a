"""Compute the intervals of a table over its test images, test its rows, and decide which rows may be ranked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.results.result import Result
from reports.formatting import format_range
from reports.select.comparable import ResultGroup, ResultGroupRow, replicate_identity
from reports.statistics.bootstrap import (
    RESAMPLES,
    image_places,
    interval,
    mean_over_classes,
    resampled_class_dice,
    resampling_p,
)
from reports.statistics.replicates import holm
from reports.tables.row_name import row_name
from rssam.config import RSSAM

FEWEST_IMAGES = 30
"""Test images below which no difference is tested: percentiles of few images are too narrow."""


@dataclass(frozen=True)
class DiceInterval:
    """The 95 % interval over test images of one row's Dice, or Dice of one class.

    `p` is that of no difference from the table's reference row, adjusted for the number of such tests in the table; NaN
    where nothing is tested. `undefined` resamples had no score and are left out.
    """

    low: float
    high: float
    p: float
    undefined: int


NO_INTERVAL = DiceInterval(math.nan, math.nan, math.nan, 0)
"""The interval of a row without a score."""


class Resamples:
    """Dice of resampled test sets, mean over a row's replicates: float [draws] by column, "dice" and each class.

    What is resampled is the images of all the row's test sets, each once; every replicate is scored on those of its
    own. So replicates on one official test set share its resamples, and rows on the same images are paired. A row that
    stands in many tables is resampled once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[tuple[Result, ...], dict[str, FloatArray]]] = {}

    def __call__(self, rows: Sequence[ResultGroupRow]) -> list[dict[str, FloatArray]]:
        """Return one mapping for each row, empty for a row without a score."""
        scored = [row.results if row.state == "done" and _alike(row.results) else () for row in rows]
        fresh = {_identity(results): results for results in scored if results}
        groups: dict[tuple[tuple[str, ...], int], list[tuple[Result, ...]]] = defaultdict(list)
        for identity, results in fresh.items():
            if identity not in self._known:
                images = tuple(sorted({image for result in results for image in result.images}))
                groups[images, len(results[0].classes)].append(results)
        for members in groups.values():
            flat = [result for results in members for result in results]
            _, places = image_places([result.images for result in flat])
            by_result = iter(resampled_class_dice([result.counts for result in flat], places=places))
            for results in members:
                # The results are kept too: an identity is free for another object once its owner is gone.
                drawn = np.stack([next(by_result) for _ in results])
                self._known[_identity(results)] = results, _by_column(drawn, results[0].classes)
        return [self._known[_identity(results)][1] if results else {} for results in scored]


def intervals(group: ResultGroup, names: Sequence[str], resamples: Resamples) -> list[dict[str, DiceInterval]]:
    """Return for each row of the group, by column, the intervals of those of `names` that are "dice" or a class.

    Empty for a row without a score.
    """
    drawn = [{name: draws[name] for name in names if name in draws} for draws in resamples(group.rows)]
    tested = _tests(group, drawn)
    row_intervals = []
    for number, by_column in enumerate(drawn):
        limits = {name: interval(draws) for name, draws in by_column.items()}
        row_intervals.append({
            name: DiceInterval(bounds.low, bounds.high, tested.get((number, name), math.nan), bounds.undefined)
            for name, bounds in limits.items()
        })  # fmt: skip
    return row_intervals


def unranked(group: ResultGroup) -> str:
    """Return why no row may be called best or different from another; empty where rows may be ranked."""
    data = group.results[0].data if group.results else {}
    if group.setting.profile == "smoke":
        return "the smoke profile claims nothing"
    if data.get("origin") == "synthetic":
        return "the data are synthetic"
    if group.missing:
        return f"{group.missing} of {len(group.table.rows)} rows have no result"
    if failed := sum(row.state == "failed" for row in group.rows):
        return f"{failed} of {len(group.table.rows)} rows {'has' if failed == 1 else 'have'} a run that failed"
    scored = [row for row in group.filled if not row.failed]
    if len({tuple(replicate_identity(result) for result in row.results) for row in scored}) > 1:
        return "rows rest on different replicates"
    return ""


def untested(group: ResultGroup) -> str:
    """Return why no row is tested against the reference; empty where rows are."""
    reference_row = reference(group)
    if reason := unranked(group):
        return reason
    if reference_row is None:
        return "the table has no full RS-SAM"
    if reference_row.state != "done":
        return f"{row_name(group, reference_row)} has no score"
    if len({image for result in reference_row.results for image in result.images}) < FEWEST_IMAGES:
        return f"fewer than {FEWEST_IMAGES} test images"
    return ""


def reference(group: ResultGroup) -> ResultGroupRow | None:
    """Return the row that the others are compared with: the full RS-SAM, if the table has it."""
    return next((row for row in group.rows if row.row.model == RSSAM()), None)


def column(title: str) -> str:
    """Return the name of a class's column."""
    return title.lower().replace(" ", "_")


def sentences(group: ResultGroup, row_intervals: Sequence[dict[str, DiceInterval]]) -> tuple[str, ...]:
    """Return what the intervals cover and what they do not, for the notes under the table."""
    done = [row for row, by_column in zip(group.rows, row_intervals, strict=True) if by_column]
    if not done:
        return ()
    sizes = sorted({len(result.images) for row in done for result in row.results})
    images = format_range(str(sizes[0]), str(sizes[-1]))
    several = any(len(row.results) > 1 for row in done)
    resplit = len({result.identity["data"] for row in done for result in row.results}) > 1
    luck = "the luck of split and training" if resplit else "the luck of training"
    parts = [
        f"Intervals hold {RESAMPLES} of the {images} test images",
        f"they cover which images were tested, not {luck}",
    ]
    if several:
        parts.append("a resample's score is the mean over a row's replicates, each on its own test images")
        parts.append(f"± is the standard deviation over replicates, which holds {luck} too")
    undefined = max(limits.undefined for by_column in row_intervals for limits in by_column.values())
    if undefined:
        parts.append(f"up to {undefined:,} resamples hold nothing to score and are left out")
    return (f"{'; '.join(parts)}.",)


def _alike(results: Sequence[Result]) -> bool:
    """Whether results are of the same classes, and so of one resample."""
    return len({result.classes for result in results}) == 1


def _identity(results: Sequence[Result]) -> tuple[int, ...]:
    return tuple(id(result) for result in results)


def _by_column(drawn: FloatArray, classes: Sequence[str]) -> dict[str, FloatArray]:
    """Means over replicates, float [draws] by the name of their column, from draws [replicates, classes, draws]."""
    by_class = {column(title): drawn[:, index].mean(axis=0) for index, title in enumerate(classes)}
    return {**by_class, "dice": mean_over_classes(drawn).mean(axis=0)}


def _tests(group: ResultGroup, drawn: Sequence[dict[str, FloatArray]]) -> dict[tuple[int, str], float]:
    """Adjusted p by row and column against the reference row; none where rows may not be ranked."""
    reference_row = reference(group)
    if reference_row is None or untested(group):
        return {}
    base = drawn[group.rows.index(reference_row)]
    tests = {
        (number, name): resampling_p(draws - base[name])
        for number, by_column in enumerate(drawn)
        for name, draws in by_column.items()
        if name in base and group.rows[number] is not reference_row
    }
    known = {test: p for test, p in tests.items() if not math.isnan(p)}
    return dict(zip(known, holm(list(known.values())), strict=True))
