"""A table's rows as a DataFrame: the paper's number, ours, and the difference. Collapsed runs give no number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks.metrics.counts import Scores, class_scores, scores
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Table
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from reports.select.comparable import ResultGroup, ResultGroupRow, comparable_groups
from reports.select.results import Collection, Source
from reports.select.settings import describe
from reports.tables import scored_rows
from reports.tables.intervals import (
    NO_INTERVAL,
    DiceInterval,
    Resamples,
    column,
    intervals,
    reference,
    sentences,
    unranked,
    untested,
)
from reports.tables.notes import notes, row_name

__all__ = ["EXTRAS", "NATIVE", "OVERALL", "State", "TableFrame", "make_frame", "score", "table_frames"]

State = Literal["done", "not run", "collapsed", "scored"]
"""Scored: of predictions that were made elsewhere."""

NATIVE = "native_dice"
OVERALL = "overall_accuracy"
COUNTED = {"params_m": "as_published", "total_m": "total", "trainable_m": "trainable"}
"""Columns of parameters in millions, and the count of a result behind each."""
KNOWN = {*Scores.__dataclass_fields__, *COUNTED}
"""Columns whose names are not those of classes."""
EXTRAS = (NATIVE, OVERALL, "total_m", "trainable_m")
"""Columns the paper does not have.

Dice at the source's own resolution, the share of all pixels that are right, and parameters counted in other ways.
"""


@dataclass(frozen=True, eq=False)
class TableFrame:
    """One table under one setting.

    `rows` has one line per table row: the label columns; `<score>`, `<score>_paper` and `<score>_difference` (ours
    minus the paper) for each score; the extras; `replicates`, `keys`, `scored` and `state`. Below them stand scored
    predictions, without a run: `scored` is the key of their file. For each of `interval_columns` (Dice, or Dice
    of each class) also `<score>_low` and `<score>_high` (95 % interval over test images), `<score>_spread` (standard
    deviation over replicates) and `<score>_p` (of no difference from the row `reference`, adjusted). `runs` has one
    line per result, with its labels, `key`, `split_seed`, `seed`, `collapsed` and every score. NaN is "no number".
    `unranked` says why no row of ours may be called best, `untested` why none is tested against the reference; both
    are empty where it is done.
    """

    table: Table
    setting: Setting
    source: Source
    rows: pd.DataFrame
    runs: pd.DataFrame
    extras: tuple[str, ...]
    interval_columns: tuple[str, ...]
    reference: str
    unranked: str
    untested: str
    notes: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        """Setting, owner, data and precision: what tells a frame from its neighbours."""
        owner = ["published results"] if self.source == "published" else []
        made = self.results[:1]
        facts = [fact for one in made for fact in (one.data["describe"], one.identity["precision"])]
        return "; ".join([describe(self.setting), *owner, *facts])


def table_frames(table: Table, collection: Collection, setting: Setting) -> list[TableFrame]:
    """The table under a setting, one frame for each group of results that may share a column."""
    resamples = Resamples()
    return [make_frame(section, resamples) for section in comparable_groups(table, collection, setting)]


def make_frame(section: ResultGroup, resamples: Resamples) -> TableFrame:
    """The frame of one section; sections with rows in common share their `resamples`."""
    section = _on_classes(section)
    table = section.table
    extras = tuple(name for name in EXTRAS if _wanted(name, section))
    names = (*table.scores, *extras)
    interval_columns = tuple(name for name in table.scores if name == "dice" or name not in KNOWN)
    found = intervals(section, interval_columns, resamples)
    rows = [
        _row(section, row, names) | _doubt_cells(row, interval_columns, doubt)
        for row, doubt in zip(section.rows, found, strict=True)
    ]
    rows += [
        _scored_row(section, one, label, names, interval_columns)
        for one, label in zip(section.scored, scored_rows.labels(section), strict=True)
    ]
    against = reference(section)
    runs = [
        {
            **_labels(section, row),
            "key": result.key,
            "split_seed": result.identity["split_seed"],
            "seed": result.identity["seed"],
            "collapsed": result.collapsed,
            **{name: score(result, name) for name in names},
        }
        for row in section.rows
        for result in row.results
    ]
    headings = [*table.label_columns, "key", "split_seed", "seed", "collapsed", *names]
    return TableFrame(
        table=table,
        setting=section.setting,
        source=section.source,
        rows=pd.DataFrame(rows),
        runs=pd.DataFrame(runs, columns=headings),
        extras=extras,
        interval_columns=interval_columns,
        reference=row_name(section, against) if against else "",
        unranked=unranked(section),
        untested=untested(section),
        notes=notes(section, sentences(section, found), scored_rows.notes(section)),
        results=section.results,
    )


def score(result: Result | Submission, name: str) -> float:
    """One score of one result by the name of its column; NaN if the result has none.

    Names are those of `Scores`, of a class (its Dice), "native_dice", or of COUNTED.
    """
    if name in COUNTED:
        count = result.parameters.get(COUNTED[name])
        return math.nan if count is None else count / 1e6
    if name == NATIVE:
        return scores(result.native_counts, result.average).dice if result.native_counts else math.nan
    if name in Scores.__dataclass_fields__:
        return float(getattr(result.scores, name))
    classes = [column(title) for title in result.classes]
    return float(class_scores(result.counts)["dice"][classes.index(name)]) if name in classes else math.nan


def _on_classes(section: ResultGroup) -> ResultGroup:
    """The section with the classes of its own data set as columns, if the table has a column for each class."""
    table = section.table
    if section.setting.dataset is None or not section.results or KNOWN & set(table.scores):
        return section
    names = tuple(column(title) for title in section.results[0].classes)
    blank = dict.fromkeys(names, math.nan)  # the paper has no row here
    rows = tuple(replace(row, paper=blank) for row in table.rows)
    renamed = {row.labels: row for row in rows}
    found = tuple(replace(row, row=renamed.get(row.row.labels, row.row)) for row in section.rows)
    return replace(section, table=replace(table, scores=names, rows=rows), rows=found)


def _row(section: ResultGroup, row: ResultGroupRow, names: tuple[str, ...]) -> dict[str, Any]:
    state: State = "collapsed" if row.collapsed else "done" if row.results else "not run"
    # The mean over the survivors of a collapse would flatter the system: one collapsed replicate takes the whole row.
    ours = {name: _mean([score(result, name) for result in row.results]) for name in names}
    if state != "done":
        ours = {name: value if name in COUNTED else math.nan for name, value in ours.items()}
    paper: Mapping[str, float] = row.row.paper if section.setting.dataset is None else {}
    cells: dict[str, Any] = {}
    for name in section.table.scores:
        printed = paper.get(name, math.nan)
        cells |= {name: ours[name], f"{name}_paper": printed, f"{name}_difference": ours[name] - printed}
    return {
        **_labels(section, row),
        **cells,
        **{name: ours[name] for name in names if name not in section.table.scores},
        "replicates": len(row.results),
        "keys": tuple(result.key for result in row.results),
        "scored": "",
        "state": state,
    }


def _scored_row(
    section: ResultGroup,
    one: Submission,
    labels: tuple[str, ...],
    names: tuple[str, ...],
    interval_columns: tuple[str, ...],
) -> dict[str, Any]:
    """The row of scored predictions: numbers and intervals, but no run, no paper's number, no test."""
    cells: dict[str, Any] = dict(zip(section.table.label_columns, labels, strict=True))
    for name in section.table.scores:
        cells |= {name: score(one, name), f"{name}_paper": math.nan, f"{name}_difference": math.nan}
    cells |= {name: score(one, name) for name in names if name not in section.table.scores}
    limits = scored_rows.limits(one)
    for name in interval_columns:
        low, high = (limits[name].low, limits[name].high) if name in limits else (math.nan, math.nan)
        cells |= {f"{name}_low": low, f"{name}_high": high, f"{name}_p": math.nan, f"{name}_spread": math.nan}
    return {**cells, "replicates": 0, "keys": (), "scored": one.key, "state": "scored"}


def _doubt_cells(
    row: ResultGroupRow, interval_columns: tuple[str, ...], found: Mapping[str, DiceInterval]
) -> dict[str, float]:
    """Interval, spread and p of a row; NaN for a row without a score."""
    cells: dict[str, float] = {}
    for name in interval_columns:
        doubt = found.get(name, NO_INTERVAL)
        values = [score(result, name) for result in row.results] if name in found else []
        cells |= {f"{name}_low": doubt.low, f"{name}_high": doubt.high, f"{name}_p": doubt.p}
        cells[f"{name}_spread"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return cells


def _labels(section: ResultGroup, row: ResultGroupRow) -> dict[str, str]:
    return dict(zip(section.table.label_columns, row.row.labels, strict=True))


def _wanted(name: str, section: ResultGroup) -> bool:
    """Whether an extra column says anything beside the table's own."""
    results: tuple[Result | Submission, ...] = (*section.results, *section.scored)
    if name in COUNTED:
        return "params_m" in section.table.scores and bool(section.results)
    if name == NATIVE:
        return "dice" in section.table.scores and any(result.native_counts for result in results)
    return "accuracy" in section.table.scores and any(result.average == "classes" for result in results)


def _mean(values: list[float]) -> float:
    """Plain mean; NaN if there is no value, or if one of them has none."""
    return float(np.mean(values)) if values else math.nan
