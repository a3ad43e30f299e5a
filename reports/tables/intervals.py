"""Compute the intervals of a table over its test units, test its rows, and decide which rows may be ranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.protocol.recipe import PROFILES
from benchmarks.results.counted_test import CountedTest
from reports.formatting import format_range, join_words, plural
from reports.select.comparable import ResultGroup, ResultGroupRow, replicate_identity
from reports.statistics.jackknife import FEWEST_TESTED, Jackknife
from reports.statistics.replicates import LEVEL_TEXT, holm
from reports.statistics.units import Interval, Units, interval, lacking, number_units
from rssam.config import RSSAM


@dataclass(frozen=True)
class RowIntervals:
    """Intervals of a row by column, "dice" and each class, with the estimates behind them; `whole` is of Dice.

    `p` is that of no difference from the table's reference row, adjusted for the number of such tests in the table. A
    column without a test is missing.
    """

    whole: Jackknife
    estimates: Mapping[str, Jackknife]
    intervals: Mapping[str, Interval]
    p: Mapping[str, float]


def intervals(group: ResultGroup, names: Sequence[str]) -> list[RowIntervals | None]:
    """Return for each row of the group the intervals of those of `names` that are "dice" or a class.

    A row's score is the mean over its replicates. A unit is left out of all replicates at once, so replicates on one
    official test set do not look surer than one of them. None for a row without a score.
    """
    units = number_units(group.results)
    rows = [_estimated(row, names, units) for row in group.rows]
    p = _tests(group, rows)
    return [
        row and replace(row, p={name: p[number, name] for name in row.estimates if (number, name) in p})
        for number, row in enumerate(rows)
    ]


def by_column(tests: Sequence[CountedTest], units: Units) -> dict[str, Jackknife]:
    """Return the estimates of some tests of the same classes by the name of their column."""
    *classes, whole = units.dice(tests)
    named = {column(title): estimate for title, estimate in zip(tests[0].classes, classes, strict=True)}
    return {**named, "dice": whole}


def unranked(group: ResultGroup) -> str:
    """Return why no row may be called best or different from another; empty where rows may be ranked."""
    data = group.results[0].data if group.results else {}
    if PROFILES[group.setting.profile].claims_nothing:
        return f"the {group.setting.profile} profile claims nothing"
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
        return f"{group.name(reference_row)} has no score"
    units = number_units(group.results)
    return lacking(units.dice(reference_row.results)[-1], units, FEWEST_TESTED, "a test")


def reference(group: ResultGroup) -> ResultGroupRow | None:
    """Return the row that the others are compared with: the full RS-SAM, if the table has it."""
    return next((row for row in group.rows if row.row.model == RSSAM()), None)


def column(title: str) -> str:
    """Return the name of a class's column."""
    return title.lower().replace(" ", "_")


def sentences(group: ResultGroup, row_intervals: Sequence[RowIntervals | None]) -> tuple[str, ...]:
    """Return what the intervals cover and what they do not, or why there are none, for the notes under the table."""
    done = [(row, found) for row, found in zip(group.rows, row_intervals, strict=True) if found]
    shown = [(row, found) for row, found in done if any(not one.why for one in found.intervals.values())]
    resplit = len({result.identity["data"] for row, _ in done for result in row.results}) > 1
    luck = "the luck of split and training" if resplit else "the luck of training"
    several = any(len(row.results) > 1 for row, _ in done)
    lines = []
    if shown:
        together = " A unit is left out of all replicates of a row at once." if several else ""
        lines.append(
            f"Intervals are {LEVEL_TEXT} of a jackknife over {_over(group, [found for _, found in shown])}. They cover "
            f"which of them were tested, not {luck}.{together}"
        )
    lines += _without(group, done)
    return (*lines, f"± is the standard deviation over replicates, which holds {luck}.") if several else tuple(lines)


def _over(group: ResultGroup, shown: Sequence[RowIntervals]) -> str:
    units = number_units(group.results)
    counts = sorted({found.whole.units for found in shown})
    number = format_range(f"{counts[0]:,}", f"{counts[-1]:,}")
    words = f"{number} {plural(counts[-1], units.noun)} with something to score"
    if units.scenes:
        return f"{words} (tiles known to abut are one scene)"
    return f"{words} ({'no two of one known scene' if units.known else 'their scenes are not known'})"


def _without(group: ResultGroup, done: Sequence[tuple[ResultGroupRow, RowIntervals]]) -> list[str]:
    """Return why columns have no interval, with their rows where others have one."""
    rows_by_reason: dict[str, list[str]] = {}
    for row, found in done:
        for name, one in found.intervals.items():
            if one.why:
                where = f"{one.why} ({name.replace('_', ' ')})" if len(found.intervals) > 1 else one.why
                rows_by_reason.setdefault(where, []).append(group.name(row))
    parts = [
        reason if len(names) == len(done) else f"{join_words(names)}: {reason}"
        for reason, names in rows_by_reason.items()
    ]
    return [f"No interval: {'; '.join(parts)}."] if parts else []


def _estimated(row: ResultGroupRow, names: Sequence[str], units: Units) -> RowIntervals | None:
    """Return the estimates and intervals of a row; None without a score, or if its replicates have other classes."""
    if row.state != "done" or len({result.classes for result in row.results}) > 1:
        return None
    named = by_column(row.results, units)
    estimates = {name: one for name, one in named.items() if name in names}
    return RowIntervals(named["dice"], estimates, {name: interval(one, units) for name, one in estimates.items()}, {})


def _tests(group: ResultGroup, rows: Sequence[RowIntervals | None]) -> dict[tuple[int, str], float]:
    """Return adjusted p by row and column against the reference row; none where rows may not be ranked."""
    reference_row = reference(group)
    if reference_row is None or untested(group):
        return {}
    base = rows[group.rows.index(reference_row)]
    assert base is not None
    tests = {
        (number, name): (one - base.estimates[name]).p
        for number, row in enumerate(rows)
        if row is not None and row is not base
        for name, one in row.estimates.items()
        if name in base.estimates
    }
    known = {test: p for test, p in tests.items() if not math.isnan(p)}
    return dict(zip(known, holm(list(known.values())), strict=True))
