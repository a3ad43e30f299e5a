"""Prepare a table for the HTML page: headings that sort, numbers with intervals, and the results behind each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.figures.cost_chart import CostChart, cost_charts
from reports.figures.image_dice_chart import Distribution, image_distribution
from reports.figures.loss_chart import LossCurves, training_curves
from reports.tables.cells import Cell, Column, ColumnKind, cells, columns, heading, number
from reports.tables.frames import TableFrame
from reports.tables.recipe_text import describe_replicate
from reports.tables.rows import row_title, rows_with_results
from rssam.amounts import format_bytes

WIDE, NARROW = 100, 60
"""Width in pixels of a drawn interval: where one score has intervals, and where several do."""

BadgeShape = Literal["circle", "up", "down", "diamond", "cross", "dash", "ring"]


@dataclass(frozen=True)
class Badge:
    """Verdict on the page: its word, a shape that says the same without colour, and the details shown on demand."""

    word: str
    shape: BadgeShape
    detail: str = ""


Badges = Mapping[frozenset[str], Badge]
"""Verdicts by the keys of the results behind them."""

ROW_STATES = {
    "not run": Badge("not run", "dash"),
    "collapsed": Badge("collapsed", "cross", "not above the constant answer, so never tabled as a score"),
    "diverged": Badge("diverged", "cross", "a replicate's loss was no number, so no mean over the others is tabled"),
    "failed": Badge("failed", "cross", "a replicate has no result, so no mean over the others is tabled"),
}


@dataclass(frozen=True)
class IntervalBar:
    """Places in pixels on the column's scale; None where there is no such number."""

    width: int
    ours: float | None
    low: float | None
    high: float | None
    paper: float | None


@dataclass(frozen=True)
class HtmlCell(Cell):
    """Cell of a table on the page, with its interval drawn or the verdict that it holds."""

    kind: ColumnKind = "label"
    bar: IntervalBar | None = None
    badge: Badge | None = None


@dataclass(frozen=True)
class ColumnHead(Column):
    """Head of a column; `scale` is the axis its intervals are drawn on."""

    scale: Axis | None = None


@dataclass(frozen=True)
class ReplicateDetails:
    """Result behind a row: its seeds, scores and provenance in words."""

    seeds: str
    scores: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableRow:
    """Row of a table on the page; `replicates` is empty where nothing was run."""

    title: str
    state: str
    box: str  # the anchor of its replicates
    keys: frozenset[str]
    cells: tuple[HtmlCell, ...]
    intervals: tuple[tuple[str, str], ...]  # score, and its number with spread and interval
    replicates: tuple[ReplicateDetails, ...]


@dataclass(frozen=True)
class TableView:
    """Frame on the page."""

    frame: TableFrame
    heads: tuple[ColumnHead, ...]
    groups: tuple[tuple[str, int], ...]  # the score over how many columns; "" over a column by itself
    rows: tuple[TableRow, ...]
    costs: tuple[CostChart, ...]
    distribution: Distribution | None
    curves: tuple[LossCurves, ...]


def table_view(
    frame: TableFrame, badges: Badges, anchor: str, speed: Sequence[Mapping[str, Any]] = (), *, charts: bool = True
) -> TableView:
    """Return a frame ready to be drawn.

    Args:
        frame: the table under one setting.
        badges: verdicts; without one for its rows there is no column of verdicts.
        anchor: of the frame on the page.
        speed: records of `rssam-bench speed`, for the charts of cost.
        charts: False if the page shows the charts of the same runs elsewhere.
    """
    sources = {row["keys"]: (badges.get(frozenset(row["keys"])), results) for row, results in rows_with_results(frame)}
    scales = {score: _scale(frame, score) for score in frame.table.scores}
    shown = columns(frame)
    heads = [
        ColumnHead(**vars(column), scale=scales[column.score] if column.kind == "ours" else None) for column in shown
    ]
    verdict_place = None
    if frame.compared and "dice" in scales and any(badge for badge, _ in sources.values()):
        verdict_place = 1 + max(place for place, column in enumerate(shown) if column.score == "dice")
        heads.insert(verdict_place, ColumnHead(shown[verdict_place - 1].group, "verdict", "verdict"))
    # A head without a group stands alone.
    members = [list(found) for _, found in groupby(heads, key=lambda head: head.group or id(head))]
    rows = []
    for place, (row, printed) in enumerate(zip(frame.rows.to_dict("records"), cells(frame), strict=True), start=1):
        badge, results = sources.get(row["keys"], (None, ()))
        entries = [_entry(frame, row, *pair, scales) for pair in zip(shown, printed, strict=True)]
        if verdict_place is not None:
            badge = ROW_STATES.get(row["state"], badge)
            word = badge.word if badge else ""
            entries.insert(verdict_place, HtmlCell(word, word or None, kind="verdict", badge=badge))
        named = zip(shown, printed, strict=True)
        intervals = ((column.group, f"{cell.text} {cell.interval}") for column, cell in named if cell.interval)
        replicates = tuple(_replicate(frame, result) for result in results)
        title, box = row_title(frame, row), f"{anchor}-row-{place}"
        keys = frozenset(row["keys"])
        rows.append(TableRow(title, str(row["state"]), box, keys, tuple(entries), tuple(intervals), replicates))
    return TableView(
        frame=frame,
        heads=tuple(heads),
        groups=tuple((found[0].group, len(found)) for found in members),
        rows=tuple(rows),
        costs=cost_charts(frame, speed) if charts else (),
        distribution=image_distribution(frame) if charts else None,
        curves=training_curves(frame) if charts else (),
    )


def _entry(
    frame: TableFrame, row: Mapping[Any, Any], column: Column, cell: Cell, scales: Mapping[str, Axis | None]
) -> HtmlCell:
    """Return a cell of the page: with a true minus, and with the reason for a missing number once in a row."""
    text, bar = cell.text, None
    if column.kind == "ours":
        bar = _bar(row, column.score, scales[column.score])
        if cell.value is None and column.score != frame.table.scores[0]:
            text = "\N{EN DASH}"
    elif column.kind == "difference":
        text = text.replace("-", "\N{MINUS SIGN}")
    return HtmlCell(text, cell.value, cell.mark, cell.differs, cell.interval, column.kind, bar)


def _scale(frame: TableFrame, score: str) -> Axis | None:
    """Return the common scale of a column that has intervals; None where there is nothing to draw."""
    if score not in frame.interval_columns:
        return None
    names = [name for name in (score, f"{score}_paper", f"{score}_low", f"{score}_high") if name in frame.rows]
    values = [float(value) for name in names for value in frame.rows[name]]
    if not any(math.isfinite(value) for value in frame.rows[score]):
        return None
    return linear(values, 4, (WIDE if len(frame.interval_columns) == 1 else NARROW) - 4, 4)


def _bar(row: Mapping[Any, Any], score: str, scale: Axis | None) -> IntervalBar | None:
    if scale is None:
        return None
    at, low, high, paper = (
        scale.at_known(row.get(name, math.nan)) for name in (score, f"{score}_low", f"{score}_high", f"{score}_paper")
    )
    return IntervalBar(round(scale.end) + 4, at, low, high, paper)


def _replicate(frame: TableFrame, result: Result) -> ReplicateDetails:
    run = frame.runs[frame.runs["key"] == result.key].iloc[0]
    record = result.provenance
    versions = record.get("versions") or {}
    facts = (
        ("file", f"results/{result.key}.json"),
        ("commit", record.get("commit") or "not recorded"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items() if version)),
        ("device", record.get("device") or "not recorded"),
        ("finished", str(record.get("finished") or "not recorded").replace("T", " ").replace("+00:00", " UTC")),
        ("diverged", ", ".join(f"rate {lost.rate:g} in epoch {lost.epoch}" for lost in result.diverged)),
        ("took", f"{duration(result.seconds)}; peak memory {format_bytes(result.peak_memory)}"),
    )
    shown = (*frame.table.scores, *frame.extras)
    scores = tuple((heading(name), number(float(run[name]), name)) for name in shown)
    return ReplicateDetails(
        seeds=describe_replicate(result) + (" (collapsed)" if result.collapsed else ""),
        scores=scores,
        facts=tuple((name, str(text)) for name, text in facts if text),
    )


def duration(seconds: float) -> str:
    """Return seconds in words, in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
