"""Turn a TableFrame into printed columns and cells, which every format shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from reports.formatting import DECIMALS, format_difference, format_limits, format_number
from reports.statistics.replicates import LEVEL_TEXT
from reports.tables.frames import NATIVE, OVERALL, PARAMETER_COLUMNS, TableFrame
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


@dataclass(frozen=True)
class Column:
    """Column of a table: `group` is the score that ours, paper and difference stand under, empty for a lone column."""

    group: str
    heading: str


@dataclass(frozen=True)
class Cell:
    """Number or word, how it stands out, and its spread and interval."""

    text: str
    mark: RankMark = ""
    differs: bool = False  # from the table's reference row
    interval: str = ""  # "± 0.004 [0.751, 0.778]"


def heading(score: str) -> str:
    """Return a score's or class's name as the paper prints it."""
    return HEADINGS.get(score, score.replace("_", " ").title())


def label_columns(frame: TableFrame) -> list[Column]:
    """Return the columns of labels, which stand at the left."""
    return [Column("", name) for name in frame.table.label_columns]


def columns(frame: TableFrame) -> list[Column]:
    """Return all columns in order: labels, those of `parts` for each score, extras, number of runs."""
    return _with_scores(frame, [Column(heading(score), part) for score in frame.table.scores for part in parts(frame)])


def parts(frame: TableFrame) -> tuple[str, ...]:
    """Return the headings of a score's columns; a published number is not called ours.

    Without any number that can be compared with the paper's there is no column of differences.
    """
    own = "ours" if frame.source == "own" else "published"
    return (own, "paper", "difference") if frame.compared else (own, "paper")


def cells(frame: TableFrame) -> list[list[Cell]]:
    """Return the cells of each row, in the order of `columns`."""
    printed = []
    for row, marks in _marked(frame):
        scored = []
        for score in frame.table.scores:
            mark, differs_here, paper_mark = marks[score]
            own = Cell(ours(frame, row, score), mark, differs_here, format_interval(row, score))
            paper = Cell(number(row[f"{score}_paper"], score), paper_mark)
            gap = [Cell(difference(row[f"{score}_difference"], score))] if frame.compared else []
            scored += [own, paper, *gap]
        labels = [Cell(row[name]) for name in frame.table.label_columns]
        extras = [Cell(number(row[name], name)) for name in frame.extras]
        printed.append([*labels, *scored, *extras, Cell(row["runs"])])
    return printed


def is_wide(frame: TableFrame) -> bool:
    """Return whether three columns for each score would not fit a printed page."""
    return len(frame.table.scores) > MOST_SCORES


def paper_columns(frame: TableFrame) -> list[Column]:
    """Return columns for a printed page: the interval of Dice in its own, no differences where they have no room."""
    return _with_scores(
        frame, [Column(heading(score), part) for score in frame.table.scores for part in _paper_parts(frame, score)]
    )


def paper_cells(frame: TableFrame) -> list[list[Cell]]:
    """Return the cells of each row, in the order of `paper_columns`."""
    shown_parts = 2 if is_wide(frame) else len(parts(frame))
    printed = []
    for row in cells(frame):
        left, step = len(frame.table.label_columns), len(parts(frame))
        scored: list[Cell] = []
        for index, score in enumerate(frame.table.scores):
            own, *others = row[left + step * index : left + step * index + shown_parts]
            scored += [replace(own, interval=""), *([Cell(own.interval)] if score == INTERVAL_SCORE else []), *others]
        printed.append([*row[:left], *scored, *row[left + step * len(frame.table.scores) :]])
    return printed


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


def difference(value: float, score: str) -> str:
    """Return a difference with its sign and the paper's decimals for this score; empty where there is none."""
    return format_difference(value, _decimals(score))


def _marked(frame: TableFrame) -> list[tuple[dict[Any, Any], dict[str, tuple[RankMark, bool, RankMark]]]]:
    """Return each row with, by score, the mark of our number, whether it differs, and the mark of the paper's."""
    by_score = {
        score: list(zip(ranks(frame, score), differs(frame, score), paper_ranks(frame, score), strict=True))
        for score in frame.table.scores
    }
    rows = frame.rows.to_dict("records")
    return [(row, {score: marks[index] for score, marks in by_score.items()}) for index, row in enumerate(rows)]


def _with_scores(frame: TableFrame, scored: list[Column]) -> list[Column]:
    """Return all columns of a frame with these for its scores."""
    return [*label_columns(frame), *scored, *(Column("", heading(name)) for name in frame.extras), Column("", "Runs")]


def _paper_parts(frame: TableFrame, score: str) -> list[str]:
    own, *others = parts(frame)[: 2 if is_wide(frame) else None]
    spread = score == INTERVAL_SCORE and frame.rows[f"{score}_spread"].notna().any()
    interval = [f"{'± and ' if spread else ''}{LEVEL_TEXT}"] if score == INTERVAL_SCORE else []
    return [own, *interval, *others]


def _decimals(score: str) -> int:
    return 2 if score in PARAMETER_COLUMNS else DECIMALS
