"""What the choice of test images and the luck of replicates leave open in a table, and which rows may be ranked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.results.result import Result
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.statistics.bootstrap import DRAWS, interval, mean_over_classes, resampled_class_dice, resampling_p
from reports.statistics.replicates import LEVEL, holm
from reports.tables.notes import row_name
from rssam.config import RSSAM

FEWEST = 30
"""Test images below which no difference is tested: percentiles of few images are too narrow."""


@dataclass(frozen=True)
class DiceInterval:
    """How sure one row's Dice (or Dice of one class) is, as far as the choice of test images goes: 95 % interval.

    `p` is that of no difference from the table's reference row, adjusted for the number of such tests in the table; NaN
    where nothing is tested. `undefined` resamples had no score and are left out.
    """

    low: float
    high: float
    p: float
    undefined: int


NO_INTERVAL = DiceInterval(math.nan, math.nan, math.nan, 0)
"""Of a row without a score."""


class Resamples:
    """Dice of resampled test sets, mean over a row's replicates: float [draws] by column, "dice" and each class.

    What is resampled is the images of all the row's test sets, each once; every replicate is scored on those of its
    own. So replicates on one official test set share its resamples, and rows on the same images are paired. A row that
    stands in many tables is resampled once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[tuple[Result, ...], dict[str, FloatArray]]] = {}

    def __call__(self, rows: Sequence[ResultGroupRow]) -> list[dict[str, FloatArray]]:
        """One mapping for each row, empty for a row without a score."""
        scored = [row.results if row.results and not row.collapsed and _alike(row.results) else () for row in rows]
        fresh = {_identity(results): results for results in scored if results}
        groups: dict[tuple[tuple[str, ...], int], list[tuple[Result, ...]]] = defaultdict(list)
        for identity, results in fresh.items():
            if identity not in self._known:
                images = tuple(sorted({image for result in results for image in result.images}))
                groups[images, len(results[0].classes)].append(results)
        for (images, _), members in groups.items():
            place = {image: index for index, image in enumerate(images)}
            flat = [result for results in members for result in results]
            places = [np.array([place[image] for image in result.images], dtype=np.int64) for result in flat]
            each = iter(resampled_class_dice([result.counts for result in flat], places=places))
            for results in members:
                # The results are kept too: an identity is free for another object once its owner is gone.
                drawn = np.stack([next(each) for _ in results])
                self._known[_identity(results)] = results, _by_column(drawn, results[0].classes)
        return [self._known[_identity(results)][1] if results else {} for results in scored]


def intervals(section: ResultGroup, names: Sequence[str], resamples: Resamples) -> list[dict[str, DiceInterval]]:
    """For each row of the section, by column, the doubt about those of `names` that are "dice" or a class.

    Empty for a row without a score.
    """
    drawn = [{name: each[name] for name in names if name in each} for each in resamples(section.rows)]
    tested = _tests(section, drawn)
    found = []
    for number, draws in enumerate(drawn):
        limits = {name: interval(values) for name, values in draws.items()}
        found.append({
            name: DiceInterval(one.low, one.high, tested.get((number, name), math.nan), one.undefined)
            for name, one in limits.items()
        })  # fmt: skip
    return found


def unranked(section: ResultGroup) -> str:
    """Why no row may be called best or different from another; empty where rows may be ranked."""
    data = section.results[0].data if section.results else {}
    rows = section.filled
    missing = len(section.table.rows) - len([row for row in rows if row.row in section.table.rows])
    if section.setting.profile == "smoke":
        return "the smoke profile claims nothing"
    if data.get("origin") == "synthetic":
        return "the data are synthetic"
    if missing:
        return f"{missing} of {len(section.table.rows)} rows have no result"
    if len({_replicates(row) for row in rows}) > 1:
        return "rows rest on different replicates"
    return ""


def untested(section: ResultGroup) -> str:
    """Why no row is tested against the reference; empty where rows are."""
    against = reference(section)
    if reason := unranked(section):
        return reason
    if against is None:
        return "the table has no full RS-SAM"
    if against.collapsed or not against.results:
        return f"{row_name(section, against)} has no score"
    if len({image for result in against.results for image in result.images}) < FEWEST:
        return f"fewer than {FEWEST} test images"
    return ""


def reference(section: ResultGroup) -> ResultGroupRow | None:
    """The row the others are held against: the full RS-SAM, if the table has it."""
    return next((row for row in section.rows if row.row.model == RSSAM()), None)


def column(title: str) -> str:
    """The name of a class as a column's."""
    return title.lower().replace(" ", "_")


def sentences(section: ResultGroup, found: Sequence[dict[str, DiceInterval]]) -> tuple[str, ...]:
    """What the intervals cover and what they do not, for the notes under the table."""
    done = [row for row, each in zip(section.rows, found, strict=True) if each]
    if not done:
        return ()
    sizes = sorted({len(result.images) for row in done for result in row.results})
    images = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    several = any(len(row.results) > 1 for row in done)
    resplit = len({result.identity["data"] for row in done for result in row.results}) > 1
    luck = "the luck of split and training" if resplit else "the luck of training"
    parts = [
        f"Intervals hold {100 * LEVEL:g} % of {DRAWS:,} resamples of the {images} test images",
        f"they cover which images were tested, not {luck}",
    ]
    if several:
        parts.append("a resample's score is the mean over a row's replicates, each on its own test images")
        parts.append(f"± is the standard deviation over replicates, which holds {luck} too")
    undefined = max(doubt.undefined for each in found for doubt in each.values())
    if undefined:
        parts.append(f"up to {undefined:,} resamples hold nothing to score and are left out")
    return (f"{'; '.join(parts)}.",)


def _alike(results: Sequence[Result]) -> bool:
    """Whether results are of the same classes, and so of one resample."""
    return len({result.classes for result in results}) == 1


def _identity(results: Sequence[Result]) -> tuple[int, ...]:
    return tuple(id(result) for result in results)


def _by_column(drawn: FloatArray, classes: Sequence[str]) -> dict[str, FloatArray]:
    """Means over replicates, [draws] by the name of their column, of draws [replicates, classes, draws]."""
    by_class = {column(title): drawn[:, index].mean(axis=0) for index, title in enumerate(classes)}
    return {**by_class, "dice": mean_over_classes(drawn).mean(axis=0)}


def _tests(section: ResultGroup, drawn: Sequence[dict[str, FloatArray]]) -> dict[tuple[int, str], float]:
    """Adjusted p by row and column against the reference row; none where rows may not be ranked."""
    against = reference(section)
    if against is None or untested(section):
        return {}
    base = drawn[section.rows.index(against)]
    tests = {
        (number, name): resampling_p(values - base[name])
        for number, draws in enumerate(drawn)
        for name, values in draws.items()
        if name in base and section.rows[number] is not against
    }
    known = {test: p for test, p in tests.items() if not math.isnan(p)}
    return dict(zip(known, holm(list(known.values())), strict=True))


def _replicates(row: ResultGroupRow) -> tuple[tuple[str, int], ...]:
    """Data and seed of each replicate."""
    return tuple((result.identity["data"], result.identity["seed"]) for result in row.results)
