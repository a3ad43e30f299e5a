"""A table as the page shows it: headings that sort, numbers with their interval drawn, what lies behind each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.figures.cost_chart import Cost, cost_charts
from reports.figures.image_dice_chart import Distribution, image_distribution
from reports.figures.loss_chart import Curves, training_curves
from reports.tables.cells import difference, format_interval, heading, number, ours, parts
from reports.tables.frames import TableFrame
from reports.tables.ranking import Mark, differs, paper_ranks, ranks
from reports.tables.rows import replicate, row_title, rows_with_results

Kind = Literal["label", "ours", "paper", "difference", "verdict", "extra", "runs"]

WIDE, NARROW = 100, 60
"""Width in pixels of a drawn interval: where one score has intervals, and where several do."""

Shape = Literal["circle", "up", "down", "diamond", "cross", "dash", "ring"]


@dataclass(frozen=True)
class Badge:
    """A verdict: its word, a shape that says the same without colour, and what is said in full on demand."""

    word: str
    shape: Shape
    detail: str = ""


Badges = Mapping[frozenset[str], Badge]
"""Verdicts by the keys of the results behind them."""

ROW_STATES = {
    "not run": Badge("not run", "dash"),
    "collapsed": Badge("collapsed", "cross", "not above the constant answer, so never tabled as a score"),
}


@dataclass(frozen=True)
class Bar:
    """Places in pixels on the column's scale; None where there is no such number."""

    width: int
    ours: float | None
    low: float | None
    high: float | None
    paper: float | None


@dataclass(frozen=True)
class Cell:
    """One cell. `value` is what a column sorts by: a number, a text, or None for what stands last."""

    kind: Kind
    text: str
    value: float | str | None = None
    bar: Bar | None = None
    badge: Badge | None = None
    mark: Mark = ""
    differs: bool = False  # from the row the table's tests refer to


@dataclass(frozen=True)
class ColumnHead:
    """A column. `group` is the score it stands under; `scale` the axis its intervals are drawn on."""

    group: str
    text: str
    kind: Kind
    scale: Axis | None = None


@dataclass(frozen=True)
class Replicate:
    """One result behind a row, as it recorded itself."""

    seeds: str
    scores: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableRow:
    """A row; `replicates` is empty where nothing was run."""

    title: str
    state: str
    box: str  # the anchor of what lies behind it
    keys: frozenset[str]
    cells: tuple[Cell, ...]
    intervals: tuple[tuple[str, str], ...]  # score, and its number with spread and interval
    replicates: tuple[Replicate, ...]


@dataclass(frozen=True)
class TableView:
    """One frame on the page."""

    frame: TableFrame
    heads: tuple[ColumnHead, ...]
    groups: tuple[tuple[str, int], ...]  # the score over how many columns; "" over a column by itself
    lines: tuple[TableRow, ...]
    costs: tuple[Cost, ...]
    distribution: Distribution | None
    curves: tuple[Curves, ...]


def table_view(
    frame: TableFrame, badges: Badges, anchor: str, speed: Sequence[Mapping[str, Any]] = (), *, charts: bool = True
) -> TableView:
    """The frame ready to be drawn, under an anchor of its own, with costs from the records of `speed`.

    Without any of `badges` for its rows there is no column of verdicts. Without `charts`, those of the same runs stand
    elsewhere on the page.
    """
    columns = _columns(frame)
    found = {row["keys"]: (badges.get(frozenset(row["keys"])), results) for row, results in rows_with_results(frame)}
    judged = "dice" if "dice" in frame.table.scores and any(badge for badge, _ in found.values()) else None
    heads = _heads(frame, columns, judged)
    groups: list[tuple[str, int]] = []
    for head in heads:
        if head.group and groups and groups[-1][0] == head.group:
            groups[-1] = (head.group, groups[-1][1] + 1)
        else:
            groups.append((head.group, 1))
    lines = tuple(
        _line(frame, row, number, f"{anchor}-row-{number + 1}", columns, judged, *found.get(row["keys"], (None, ())))
        for number, row in enumerate(frame.rows.to_dict("records"))
    )
    return TableView(
        frame=frame,
        heads=heads,
        groups=tuple(groups),
        lines=lines,
        costs=cost_charts(frame, speed) if charts else (),
        distribution=image_distribution(frame) if charts else None,
        curves=training_curves(frame) if charts else (),
    )


@dataclass(frozen=True)
class _Column:
    """One score over all rows."""

    name: str
    scale: Axis | None
    marks: list[Mark]
    paper_marks: list[Mark]
    differs: list[bool]


def _columns(frame: TableFrame) -> list[_Column]:
    return [
        _Column(name, _scale(frame, name), ranks(frame, name), paper_ranks(frame, name), differs(frame, name))
        for name in frame.table.scores
    ]


def _heads(frame: TableFrame, columns: list[_Column], judged: str | None) -> tuple[ColumnHead, ...]:
    heads = [ColumnHead("", name, "label") for name in frame.table.label_columns]
    new, paper, apart = parts(frame)
    for column in columns:
        group = heading(column.name)
        heads += [
            ColumnHead(group, new, "ours", column.scale),
            ColumnHead(group, paper, "paper"),
            ColumnHead(group, apart, "difference"),
        ]
        if column.name == judged:
            heads.append(ColumnHead(group, "verdict", "verdict"))
    return (*heads, *(ColumnHead("", heading(name), "extra") for name in frame.extras), ColumnHead("", "Runs", "runs"))


def _line(
    frame: TableFrame,
    row: dict[Any, Any],
    place: int,
    box: str,
    columns: list[_Column],
    judged: str | None,
    badge: Badge | None,
    results: tuple[Result, ...],
) -> TableRow:
    cells = [Cell("label", str(row[name]), str(row[name])) for name in frame.table.label_columns]
    intervals = []
    for column in columns:
        name = column.name
        printed, gap = row[f"{name}_paper"], row[f"{name}_difference"]
        # The words for a missing number are said once a row.
        silent = math.isnan(row[name]) and name != frame.table.scores[0]
        text = "\N{EN DASH}" if silent else ours(frame, row, name)
        cells += [
            Cell("ours", text, _known(row[name]), _bar(row, column), None, column.marks[place], column.differs[place]),
            Cell("paper", number(printed, name), _known(printed), mark=column.paper_marks[place]),
            Cell("difference", difference(gap, name).replace("-", "\N{MINUS SIGN}"), _known(gap)),
        ]
        if name == judged:
            shown = ROW_STATES.get(row["state"], badge)
            cells.append(Cell("verdict", shown.word if shown else "", shown.word if shown else None, badge=shown))
        if format_interval(row, name):
            intervals.append((heading(name), f"{text} {format_interval(row, name)}"))
    cells += [Cell("extra", number(row[name], name), _known(row[name])) for name in frame.extras]
    cells.append(Cell("runs", str(row["replicates"]), float(row["replicates"])))
    behind_it = tuple(_replicate(frame, result) for result in results)
    keys = frozenset(row["keys"])
    return TableRow(row_title(frame, row), str(row["state"]), box, keys, tuple(cells), tuple(intervals), behind_it)


def _scale(frame: TableFrame, score: str) -> Axis | None:
    """The common scale of a column that has intervals; None where there is nothing to draw."""
    if score not in frame.interval_columns:
        return None
    names = [name for name in (score, f"{score}_paper", f"{score}_low", f"{score}_high") if name in frame.rows]
    values = [float(value) for name in names for value in frame.rows[name]]
    if not any(math.isfinite(value) for value in frame.rows[score]):
        return None
    return linear(values, 4, (WIDE if len(frame.interval_columns) == 1 else NARROW) - 4, 4)


def _bar(row: Mapping[Any, Any], column: _Column) -> Bar | None:
    score, scale = column.name, column.scale
    if scale is None:
        return None

    def at(name: str) -> float | None:
        value = _known(row.get(name, math.nan))
        return None if value is None else scale.at(value)

    return Bar(round(scale.end) + 4, at(score), at(f"{score}_low"), at(f"{score}_high"), at(f"{score}_paper"))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _replicate(frame: TableFrame, result: Result) -> Replicate:
    run = frame.runs[frame.runs["key"] == result.key].iloc[0]
    record = result.provenance
    versions = record.get("versions") or {}
    facts = (
        ("file", f"results/{result.key}.json"),
        ("commit", record.get("commit") or "not recorded"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items() if version)),
        ("device", record.get("device") or "not recorded"),
        ("finished", str(record.get("finished") or "not recorded").replace("T", " ").replace("+00:00", " UTC")),
        ("took", f"{duration(result.seconds)}; peak memory {result.peak_memory / 2**30:.1f} GiB"),
    )
    shown = (*frame.table.scores, *frame.extras)
    scores = tuple((heading(name), number(float(run[name]), name)) for name in shown)
    return Replicate(
        seeds=replicate(result) + (" (collapsed)" if result.collapsed else ""),
        scores=scores,
        facts=tuple((name, str(text)) for name, text in facts if text),
    )


def duration(seconds: float) -> str:
    """Seconds in the unit a reader would choose."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
