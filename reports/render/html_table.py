"""Prepare a table for the HTML page: headings that sort, numbers with intervals, and the results behind each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.figures.cost_chart import CostChart, cost_charts
from reports.figures.image_dice_chart import Distribution, image_distribution
from reports.figures.loss_chart import LossCurves, training_curves
from reports.tables.cells import difference, format_interval, heading, number, ours, parts
from reports.tables.frames import TableFrame, known
from reports.tables.ranking import RankMark, differs, paper_ranks, ranks
from reports.tables.recipe_text import describe_replicate
from reports.tables.rows import row_title, rows_with_results
from rssam.amounts import format_bytes

ColumnKind = Literal["label", "ours", "paper", "difference", "verdict", "extra", "runs"]

OTHER_KINDS: tuple[ColumnKind, ...] = ("paper", "difference")
"""Kinds of the columns behind ours, of which a table without comparison has the first alone."""

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
class HtmlCell:
    """Cell of a table on the page.

    `value` is what a column sorts by: a number, a text, or None for what stands last.
    """

    kind: ColumnKind
    text: str
    value: float | str | None = None
    bar: IntervalBar | None = None
    badge: Badge | None = None
    mark: RankMark = ""
    differs: bool = False  # from the row the table's tests refer to


@dataclass(frozen=True)
class ColumnHead:
    """Head of a column. `group` is the score it stands under; `scale` the axis its intervals are drawn on."""

    group: str
    text: str
    kind: ColumnKind
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
    columns = _columns(frame, with_verdicts=frame.compared and any(badge for badge, _ in sources.values()))
    heads = _heads(frame, columns)
    groups: list[tuple[str, int]] = []
    for head in heads:
        if head.group and groups and groups[-1][0] == head.group:
            groups[-1] = (head.group, groups[-1][1] + 1)
        else:
            groups.append((head.group, 1))
    rows = tuple(
        _table_row(frame, row, number, f"{anchor}-row-{number + 1}", columns, *sources.get(row["keys"], (None, ())))
        for number, row in enumerate(frame.rows.to_dict("records"))
    )
    return TableView(
        frame=frame,
        heads=heads,
        groups=tuple(groups),
        rows=rows,
        costs=cost_charts(frame, speed) if charts else (),
        distribution=image_distribution(frame) if charts else None,
        curves=training_curves(frame) if charts else (),
    )


@dataclass(frozen=True)
class _ScoreColumn:
    """Score over all rows, and whether verdicts follow it."""

    name: str
    verdicts: bool
    scale: Axis | None
    marks: list[RankMark]
    paper_marks: list[RankMark]
    differs: list[bool]


def _columns(frame: TableFrame, *, with_verdicts: bool) -> list[_ScoreColumn]:
    return [
        _ScoreColumn(
            name=name,
            verdicts=with_verdicts and name == "dice",
            scale=_scale(frame, name),
            marks=ranks(frame, name),
            paper_marks=paper_ranks(frame, name),
            differs=differs(frame, name),
        )
        for name in frame.table.scores
    ]


def _heads(frame: TableFrame, columns: list[_ScoreColumn]) -> tuple[ColumnHead, ...]:
    heads = [ColumnHead("", name, "label") for name in frame.table.label_columns]
    own, *others = parts(frame)
    for column in columns:
        group = heading(column.name)
        heads.append(ColumnHead(group, own, "ours", column.scale))
        heads += [ColumnHead(group, part, kind) for part, kind in zip(others, OTHER_KINDS, strict=False)]
        if column.verdicts:
            heads.append(ColumnHead(group, "verdict", "verdict"))
    return (*heads, *(ColumnHead("", heading(name), "extra") for name in frame.extras), ColumnHead("", "Runs", "runs"))


def _table_row(
    frame: TableFrame,
    row: dict[Any, Any],
    place: int,
    box: str,
    columns: list[_ScoreColumn],
    badge: Badge | None,
    results: tuple[Result, ...],
) -> TableRow:
    cells = [HtmlCell("label", str(row[name]), str(row[name])) for name in frame.table.label_columns]
    intervals = []
    for column in columns:
        name = column.name
        printed, gap = row[f"{name}_paper"], row[f"{name}_difference"]
        # Why there is no number is written once a row.
        repeated = math.isnan(row[name]) and name != frame.table.scores[0]
        text = "\N{EN DASH}" if repeated else ours(frame, row, name)
        cells += [
            HtmlCell(
                "ours", text, known(row[name]), _bar(row, column), None, column.marks[place], column.differs[place]
            ),
            HtmlCell("paper", number(printed, name), known(printed), mark=column.paper_marks[place]),
        ]
        if frame.compared:
            cells.append(HtmlCell("difference", difference(gap, name).replace("-", "\N{MINUS SIGN}"), known(gap)))
        if column.verdicts:
            shown = ROW_STATES.get(row["state"], badge)
            cells.append(HtmlCell("verdict", shown.word if shown else "", shown.word if shown else None, badge=shown))
        if format_interval(row, name):
            intervals.append((heading(name), f"{text} {format_interval(row, name)}"))
    cells += [HtmlCell("extra", number(row[name], name), known(row[name])) for name in frame.extras]
    cells.append(HtmlCell("runs", row["runs"], float(row["replicates"])))
    return TableRow(
        title=row_title(frame, row),
        state=str(row["state"]),
        box=box,
        keys=frozenset(row["keys"]),
        cells=tuple(cells),
        intervals=tuple(intervals),
        replicates=tuple(_replicate(frame, result) for result in results),
    )


def _scale(frame: TableFrame, score: str) -> Axis | None:
    """Return the common scale of a column that has intervals; None where there is nothing to draw."""
    if score not in frame.interval_columns:
        return None
    names = [name for name in (score, f"{score}_paper", f"{score}_low", f"{score}_high") if name in frame.rows]
    values = [float(value) for name in names for value in frame.rows[name]]
    if not any(math.isfinite(value) for value in frame.rows[score]):
        return None
    return linear(values, 4, (WIDE if len(frame.interval_columns) == 1 else NARROW) - 4, 4)


def _bar(row: Mapping[Any, Any], column: _ScoreColumn) -> IntervalBar | None:
    score, scale = column.name, column.scale
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
