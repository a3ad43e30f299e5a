"""A table's rows as a DataFrame: the paper's number, ours, and the difference. Collapsed runs give no number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks.counts import Scores, class_scores, scores
from benchmarks.spec import Setting
from benchmarks.store import Result
from benchmarks.tables import Table
from reports.collection import Collection, Source
from reports.notes import notes
from reports.sections import Section, SectionRow, sections
from reports.settings import describe

__all__ = ["EXTRAS", "NATIVE", "OVERALL", "State", "TableFrame", "score", "table_frames"]

State = Literal["done", "not run", "collapsed"]

NATIVE = "native_dice"
OVERALL = "overall_accuracy"
COUNTED = {"params_m": "as_published", "total_m": "total", "trainable_m": "trainable"}
"""Columns of parameters in millions, and the count of a result behind each."""
EXTRAS = (NATIVE, OVERALL, "total_m", "trainable_m")
"""Columns the paper does not have.

Dice at the source's own resolution, the share of all pixels that are right, and parameters counted in other ways.
"""


@dataclass(frozen=True, eq=False)
class TableFrame:
    """One table under one setting.

    `rows` has one line per table row: the label columns; `<score>`, `<score>_paper` and `<score>_difference` (ours
    minus the paper) for each score; the extras; `replicates`, `keys` and `state`. `runs` has one line per result, with
    its labels, `key`, `split_seed`, `seed`, `collapsed` and every score. NaN is "no number".
    """

    table: Table
    setting: Setting
    source: Source
    rows: pd.DataFrame
    runs: pd.DataFrame
    extras: tuple[str, ...]
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
    """The table under a setting, one frame for each group of results that may share a column (see `sections`)."""
    return [_frame(section) for section in sections(table, collection, setting)]


def score(result: Result, name: str) -> float:
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
    classes = [_column(title) for title in result.classes]
    return float(class_scores(result.counts)["dice"][classes.index(name)]) if name in classes else math.nan


def _on_classes(section: Section) -> Section:
    """The section with the classes of its own data set as columns, if the table has a column for each class."""
    table = section.table
    known = {*Scores.__dataclass_fields__, *COUNTED}
    if section.setting.dataset is None or not section.results or known & set(table.scores):
        return section
    names = tuple(_column(title) for title in section.results[0].classes)
    blank = dict.fromkeys(names, math.nan)  # the paper has no row here
    rows = tuple(replace(row, paper=blank) for row in table.rows)
    return replace(section, table=replace(table, scores=names, rows=rows))


def _column(title: str) -> str:
    """The name of a class as a column's."""
    return title.lower().replace(" ", "_")


def _frame(section: Section) -> TableFrame:
    section = _on_classes(section)
    table = section.table
    extras = tuple(name for name in EXTRAS if _wanted(name, section))
    names = (*table.scores, *extras)
    rows = [_row(section, row, names) for row in section.rows]
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
    columns = [*table.label_columns, "key", "split_seed", "seed", "collapsed", *names]
    return TableFrame(
        table=table,
        setting=section.setting,
        source=section.source,
        rows=pd.DataFrame(rows),
        runs=pd.DataFrame(runs, columns=columns),
        extras=extras,
        notes=notes(section),
        results=section.results,
    )


def _row(section: Section, row: SectionRow, names: tuple[str, ...]) -> dict[str, Any]:
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
        "state": state,
    }


def _labels(section: Section, row: SectionRow) -> dict[str, str]:
    return dict(zip(section.table.label_columns, row.row.labels, strict=True))


def _wanted(name: str, section: Section) -> bool:
    """Whether an extra column says anything beside the table's own."""
    results = section.results
    if name in COUNTED:
        return "params_m" in section.table.scores and bool(results)
    if name == NATIVE:
        return "dice" in section.table.scores and any(result.native_counts for result in results)
    return "accuracy" in section.table.scores and any(result.average == "classes" for result in results)


def _mean(values: list[float]) -> float:
    """Plain mean; NaN if there is no value, or if one of them has none."""
    return float(np.mean(values)) if values else math.nan
