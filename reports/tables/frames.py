"""Make the data frame of a table: for each row the paper's numbers, ours, and the differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.metrics.counts import Scores, class_scores, scores
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Table
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from reports.formatting import join_words
from reports.select.comparable import ResultGroup, ResultGroupRow, RowState, comparable_groups
from reports.select.not_comparable import is_compared
from reports.select.results import Collection, ResultSource
from reports.select.settings import describe
from reports.statistics.units import Interval
from reports.tables import scored_rows
from reports.tables.intervals import RowIntervals, column, intervals, reference, sentences, unranked, untested
from reports.tables.notes import notes

NATIVE = "native_dice"
OVERALL = "overall_accuracy"
PARAMETER_COLUMNS = {"params_m": "as_published", "total_m": "total", "trainable_m": "trainable"}
"""Columns of parameters in millions, and the count of a result behind each."""
SCORE_COLUMNS = {*Scores.__dataclass_fields__, *PARAMETER_COLUMNS}
"""Columns whose names are not those of classes."""
EXTRAS = (NATIVE, OVERALL, "total_m", "trainable_m")
"""Columns the paper does not have.

Dice at the source's own resolution, the share of all pixels that are right, and parameters counted in other ways.
"""


@dataclass(frozen=True, eq=False)
class TableFrame:
    """One `table` under one `setting`, with the `results` behind it and the `notes` below it; see `read_table`.

    The columns of `rows`, of which scores are in 0..1 and NaN is "no number":

    - the headings of the paper's labels, such as "Method";
    - `<score>`, `<score>_paper` and `<score>_difference` (ours minus the paper) for each of `table.scores`;
    - those of `extras`: `native_dice`, `overall_accuracy`, `total_m` and `trainable_m`, parameters in millions;
    - `<score>_low` and `<score>_high`, the 95 % interval over test units, of `interval_columns`: Dice, or each class;
    - `<score>_spread`, the standard deviation over replicates; `<score>_p` of no difference from `reference`, adjusted;
    - `replicates`, their number; `runs`, in words if some have no result; `keys` of their results;
    - `state`: "done", "not run", "collapsed", "diverged", "failed" or "scored";
    - `scored`: the key of predictions without a run, which stand below the others; otherwise empty.

    Attributes:
        source: "own", or "published" for results that come with this version.
        runs: a line for each result: labels, `key`, `split_seed`, `seed`, `collapsed` and every score.
        reference: the row that the others are tested against; empty if there is none.
        unranked: why no row of ours may be called best; `untested`, why none is tested. Empty if it is done.
        failed: runs without a result.

    Examples:
        Table 5 with the run of docs/python.md:

        >>> from reports import read_table
        >>> (frame,) = read_table("table5", "example")
        >>> frame.rows[["Multi-scale Neck", "MFF", "MHFF", "state"]].iloc[-1].tolist()
        ['yes', 'yes', 'yes', 'done']
        >>> frame.runs["seed"].tolist()
        [0]
    """

    table: Table
    setting: Setting
    source: ResultSource
    rows: pd.DataFrame
    runs: pd.DataFrame
    extras: tuple[str, ...]
    interval_columns: tuple[str, ...]
    reference: str
    unranked: str
    untested: str
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    failed: tuple[FailedRun, ...] = ()

    @property
    def title(self) -> str:
        """Return setting, owner, data and precision: what tells a frame from its neighbours."""
        owner = ["published results"] if self.source == "published" else []
        facts = [self.first.data_description, self.first.identity["precision"]] if self.first else []
        runs: tuple[Result | FailedRun, ...] = (*self.results, *self.failed)
        facts += sorted({f"custom weights {digits}" for run in runs for digits in run.custom_weights})
        return "; ".join(part for part in [describe(self.setting), *owner, *facts] if part)

    @property
    def first(self) -> Result | FailedRun | None:
        """Return a run of the frame, with a result if there is any: data and precision are those of all."""
        runs: tuple[Result | FailedRun, ...] = (*self.results, *self.failed)
        return runs[0] if runs else None

    @cached_property
    def compared(self) -> bool:
        """Return whether a number of ours has a difference from the paper's; otherwise no format has the column."""
        return any(bool(self.rows[f"{name}_difference"].notna().any()) for name in self.table.scores)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was run or scored, so that there is nothing to show beside the paper's numbers."""
        return not (self.results or self.failed or self.rows["scored"].any())

    @property
    def dataset(self) -> str:
        """Return the name of the data set that the results are on."""
        return self.setting.dataset or self.table.dataset


def heading(frames: Sequence[TableFrame]) -> str:
    """Return the title of the frames' table. If it names another data set than the results are on, say so."""
    table = frames[0].table
    found = sorted({frame.dataset for frame in frames if not frame.is_empty})
    return table.title if table.dataset in found or not found else f"{table.title}; here on {join_words(found)}"


def table_frames(table: Table, collection: Collection, setting: Setting) -> list[TableFrame]:
    """Return the table under a setting, one frame for each group of results that may share a column."""
    return [make_frame(group) for group in comparable_groups(table, collection, setting)]


def make_frame(group: ResultGroup) -> TableFrame:
    """Return the frame of a group of results."""
    group = _on_classes(group)
    table = group.table
    extras = tuple(name for name in EXTRAS if _has_column(name, group))
    names = (*table.scores, *extras)
    interval_columns = tuple(name for name in table.scores if name == "dice" or name not in SCORE_COLUMNS)
    row_intervals = intervals(group, interval_columns)
    rows = [
        _row(group, row, names) | _interval_cells(row, interval_columns, found)
        for row, found in zip(group.rows, row_intervals, strict=True)
    ]
    rows += [
        _scored_row(group, submission, labels, names, interval_columns)
        for submission, labels in zip(group.scored, scored_rows.labels(group), strict=True)
    ]
    reference_row = reference(group)
    runs = [
        {
            **_labels(group, row),
            "key": result.key,
            "split_seed": result.identity["split_seed"],
            "seed": result.identity["seed"],
            "collapsed": result.collapsed,
            **{name: score(result, name) for name in names},
        }
        for row in group.rows
        for result in row.results
    ]
    headings = [*table.label_columns, "key", "split_seed", "seed", "collapsed", *names]
    return TableFrame(
        table=table,
        setting=group.setting,
        source=group.source,
        rows=pd.DataFrame(rows),
        runs=pd.DataFrame(runs, columns=headings),
        extras=extras,
        interval_columns=interval_columns,
        reference=group.name(reference_row) if reference_row else "",
        unranked=unranked(group),
        untested=untested(group),
        notes=notes(group, sentences(group, row_intervals), scored_rows.notes(group)),
        results=group.results,
        failed=group.failed,
    )


def score(result: Result | Submission, name: str) -> float:
    """Return one score of one result by the name of its column; NaN if the result has none.

    Names are those of `Scores`, of a class (its Dice), "native_dice", or of PARAMETER_COLUMNS.
    """
    if name in PARAMETER_COLUMNS:
        count = result.parameters.get(PARAMETER_COLUMNS[name])
        return math.nan if count is None else count / 1e6
    if name == NATIVE:
        return scores(result.native_counts, result.average).dice if result.native_counts else math.nan
    if name in Scores.__dataclass_fields__:
        return float(getattr(result.scores, name))
    classes = [column(title) for title in result.classes]
    return float(class_scores(result.counts)["dice"][classes.index(name)]) if name in classes else math.nan


def _on_classes(group: ResultGroup) -> ResultGroup:
    """Return the group with the classes of its own data set as columns, if the table has a column for each class."""
    table = group.table
    if group.setting.dataset is None or not group.results or SCORE_COLUMNS & set(table.scores):
        return group
    names = tuple(column(title) for title in group.results[0].classes)
    blank = dict.fromkeys(names, math.nan)  # the paper has no row here
    rows = tuple(replace(row, paper=blank) for row in table.rows)
    renamed = {row.labels: row for row in rows}
    group_rows = tuple(replace(row, row=renamed.get(row.row.labels, row.row)) for row in group.rows)
    return replace(group, table=replace(table, scores=names, rows=rows), rows=group_rows)


def _row(group: ResultGroup, row: ResultGroupRow, names: tuple[str, ...]) -> dict[str, Any]:
    state: RowState = row.state
    ours = {name: _mean([score(result, name) for result in row.results]) for name in names}
    if state != "done":
        ours = {name: value if name in PARAMETER_COLUMNS else math.nan for name, value in ours.items()}
    paper: Mapping[str, float] = row.row.paper if group.setting.dataset is None else {}
    return {
        **_labels(group, row),
        **_numbers(group, ours, paper, compared=is_compared(group, row)),
        "replicates": len(row.results),
        "runs": row.runs,
        "keys": tuple(result.key for result in row.results),
        "scored": "",
        "state": state,
    }


def _numbers(
    group: ResultGroup, ours: Mapping[str, float], paper: Mapping[str, float], *, compared: bool
) -> dict[str, float]:
    """Return our scores beside the paper's, with differences where they are compared, then our extras."""
    cells: dict[str, float] = {}
    for name in group.table.scores:
        printed = paper.get(name, math.nan)
        difference = ours[name] - printed if compared else math.nan
        cells |= {name: ours[name], f"{name}_paper": printed, f"{name}_difference": difference}
    return cells | {name: value for name, value in ours.items() if name not in cells}


def _scored_row(
    group: ResultGroup,
    submission: Submission,
    labels: tuple[str, ...],
    names: tuple[str, ...],
    interval_columns: tuple[str, ...],
) -> dict[str, Any]:
    """Return the row of scored predictions: numbers and intervals, but no run, no paper's number, no test."""
    return {
        **dict(zip(group.table.label_columns, labels, strict=True)),
        **_numbers(group, {name: score(submission, name) for name in names}, {}, compared=False),
        **_limits(interval_columns, scored_rows.limits(submission), {}, {}),
        **{"replicates": 0, "runs": "0", "keys": (), "scored": submission.key, "state": "scored"},
    }


def _interval_cells(
    row: ResultGroupRow, interval_columns: tuple[str, ...], found: RowIntervals | None
) -> dict[str, float]:
    """Return interval, spread and p of a row; NaN for a row without a score."""
    if found is None:
        return _limits(interval_columns, {}, {}, {})
    values = {name: [score(result, name) for result in row.results] for name in found.intervals}
    spreads = {name: float(np.std(known, ddof=1)) for name, known in values.items() if len(known) > 1}
    return _limits(interval_columns, found.intervals, found.p, spreads)


def _limits(
    names: tuple[str, ...], found: Mapping[str, Interval], p: Mapping[str, float], spreads: Mapping[str, float]
) -> dict[str, float]:
    """Return interval, p and spread of each column of these names; NaN where there is none."""
    cells: dict[str, float] = {}
    for name in names:
        low, high = (found[name].low, found[name].high) if name in found else (math.nan, math.nan)
        cells |= {f"{name}_low": low, f"{name}_high": high}
        cells |= {f"{name}_p": p.get(name, math.nan), f"{name}_spread": spreads.get(name, math.nan)}
    return cells


def _labels(group: ResultGroup, row: ResultGroupRow) -> dict[str, str]:
    return dict(zip(group.table.label_columns, row.row.labels, strict=True))


def _has_column(name: str, group: ResultGroup) -> bool:
    """Return whether an extra column says more than the table's own columns."""
    results: tuple[Result | Submission, ...] = (*group.results, *group.scored)
    if name in PARAMETER_COLUMNS:
        return "params_m" in group.table.scores and bool(group.results)
    if name == NATIVE:
        return "dice" in group.table.scores and any(result.native_counts for result in results)
    return "accuracy" in group.table.scores and any(result.average == "classes" for result in results)


def known(value: float) -> float | None:
    """Return the number of a cell; None for NaN, "no number"."""
    return None if math.isnan(value) else float(value)


def _mean(values: list[float]) -> float:
    """Return the plain mean; NaN if there is no value, or if one of them is NaN."""
    return float(np.mean(values)) if values else math.nan
