"""Turn a TableFrame into printed columns and cells, which every format shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from reports.formatting import DECIMALS, format_difference, format_limits, format_number
from reports.statistics.replicates import LEVEL_TEXT
from reports.tables.frames import NATIVE, OVERALL, PARAMETER_COLUMNS, TableFrame, known
from reports.tables.ranking import RankMark, differs, paper_ranks, ranks

HEADINGS = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "precision": "Precision",
    "recall": "Recall",
    "accuracy": "Acc",
    "params_m": "Params (M)",
    "total_m": "Total (M)",
    "trainable_m": "Trainable (M)",
    NATIVE: "Dice, native resolution",
    OVERALL: "Overall accuracy",
}


MOST_SCORES = 3
"""Scores up to which a printed table has three columns for each."""
INTERVAL_SCORE = "dice"
"""The score whose interval has room on a printed page."""


ColumnKind = Literal["label", "ours", "paper", "difference", "extra", "runs", "verdict"]
"""What a column holds; verdicts stand on the HTML page alone."""


@dataclass(frozen=True)
class Column:
    """Column of a table: `group` is the score that ours, paper and difference stand under, empty for a lone column."""

    group: str
    heading: str
    kind: ColumnKind
    score: str = ""  # by its name in the frame


@dataclass(frozen=True)
class Cell:
    """Number or word, how it stands out, and its spread and interval; `value` is what it sorts by, None for last."""

    text: str
    value: float | str | None = None
    mark: RankMark = ""
    differs: bool = False  # from the table's reference row
    interval: str = ""  # "± 0.004 [0.751, 0.778]"


def heading(score: str) -> str:
    """Return a score's or class's name as the paper prints it."""
    return HEADINGS.get(score, score.replace("_", " ").title())


def columns(frame: TableFrame) -> list[Column]:
    """Return all columns in order: labels, those of `parts` for each score, extras, number of runs."""
    kinds: tuple[ColumnKind, ...] = ("ours", "paper", "difference")
    return [
        *(Column("", name, "label") for name in frame.table.label_columns),
        *(
            Column(heading(score), part, kind, score)
            for score in frame.table.scores
            for part, kind in zip(parts(frame), kinds, strict=False)
        ),
        *(Column("", heading(name), "extra", name) for name in frame.extras),
        Column("", "Runs", "runs"),
    ]


def parts(frame: TableFrame) -> tuple[str, ...]:
    """Return the headings of a score's columns; a published number is not called ours.

    Without any number that can be compared with the paper's there is no column of differences.
    """
    own = "ours" if frame.source == "own" else "published"
    return (own, "paper", "difference") if frame.compared else (own, "paper")


def cells(frame: TableFrame) -> list[list[Cell]]:
    """Return the cells of each row, in the order of `columns`."""
    marks = {
        score: list(zip(ranks(frame, score), differs(frame, score), paper_ranks(frame, score), strict=True))
        for score in frame.table.scores
    }
    printed = []
    for place, row in enumerate(frame.rows.to_dict("records")):
        line = [Cell(row[name], row[name]) for name in frame.table.label_columns]
        for score in frame.table.scores:
            mark, differs_here, paper_mark = marks[score][place]
            paper, gap = row[f"{score}_paper"], row[f"{score}_difference"]
            own = Cell(ours(frame, row, score), known(row[score]), mark, differs_here, format_interval(row, score))
            line += [own, Cell(number(paper, score), known(paper), paper_mark)]
            if frame.compared:
                line.append(Cell(format_difference(gap, _decimals(score)), known(gap)))
        line += [Cell(number(row[name], name), known(row[name])) for name in frame.extras]
        printed.append([*line, Cell(row["runs"], float(row["replicates"]))])
    return printed


def paper_table(frame: TableFrame) -> tuple[list[Column], list[list[Cell]]]:
    """Return columns and cells for a printed page: the interval of Dice in a column of its own.

    There are no differences where three columns for each score would not fit.
    """
    wide = len(frame.table.scores) > MOST_SCORES
    spread = f"{INTERVAL_SCORE}_spread" in frame.rows and frame.rows[f"{INTERVAL_SCORE}_spread"].notna().any()
    shown: list[Column] = []
    lines: list[list[Cell]] = [[] for _ in range(len(frame.rows))]
    for column, printed in zip(columns(frame), zip(*cells(frame), strict=True), strict=True):
        if wide and column.kind == "difference":
            continue
        own_interval = (column.kind, column.score) == ("ours", INTERVAL_SCORE)
        shown.append(column)
        if own_interval:
            shown.append(replace(column, heading=f"{'± and ' if spread else ''}{LEVEL_TEXT}"))
        for line, cell in zip(lines, printed, strict=True):
            line += [replace(cell, interval=""), *([Cell(cell.interval)] if own_interval else [])]
    return shown, lines


def format_interval(row: dict[Any, Any], score: str) -> str:
    """Return spread over replicates, if there are several, and interval over test images; empty without either."""
    low, high, spread = (row.get(f"{score}_{part}", math.nan) for part in ("low", "high", "spread"))
    shown = ["" if math.isnan(spread) else f"± {number(spread, score)}", format_limits(low, high, _decimals(score))]
    return " ".join(text for text in shown if text)


def ours(frame: TableFrame, row: dict[Any, Any], score: str) -> str:
    """Return our number of one row and score; words where there is none."""
    if row["state"] in ("done", "scored") or not math.isnan(row[score]):
        return number(row[score], score)
    return "not published" if (row["state"], frame.source) == ("not run", "published") else str(row["state"])


def number(value: float, score: str) -> str:
    """Return a number with the paper's decimals for this score; "-" where there is none."""
    return format_number(value, _decimals(score))


def _decimals(score: str) -> int:
    return 2 if score in PARAMETER_COLUMNS else DECIMALS
