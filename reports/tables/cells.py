"""A TableFrame as printed cells: columns with their headings, and the cells of each row. Shared by every renderer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from reports.statistics.replicates import LEVEL
from reports.tables.frames import COUNTED, NATIVE, OVERALL, TableFrame
from reports.tables.ranking import DECIMALS, Mark, differs, paper_ranks, ranks

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


WIDEST = 3
"""Scores up to which a printed table has three columns for each."""
INTERVALLED = "dice"
"""The score whose interval has room on a printed page."""


@dataclass(frozen=True)
class Column:
    """A column: `group` is the score that its ours, paper and difference stand under, empty for a column by itself."""

    group: str
    heading: str


@dataclass(frozen=True)
class Cell:
    """A number or a word, how it stands out, and what is to be said of its certainty beside it."""

    text: str
    mark: Mark = ""
    differs: bool = False  # from the table's reference row
    interval: str = ""  # "± 0.004 [0.751, 0.778]"


def heading(score: str) -> str:
    """A score's or class's name as the paper prints it."""
    return HEADINGS.get(score, score.replace("_", " ").title())


def label_columns(frame: TableFrame) -> list[Column]:
    """The columns at the left."""
    return [Column("", name) for name in frame.table.label_columns]


def columns(frame: TableFrame) -> list[Column]:
    """All columns in order: labels, three for each score, extras, number of runs."""
    scored = [Column(heading(score), part) for score in frame.table.scores for part in parts(frame)]
    return [*label_columns(frame), *scored, *(Column("", heading(name)) for name in frame.extras), Column("", "Runs")]


def parts(frame: TableFrame) -> tuple[str, str, str]:
    """Headings of a score's three columns; a published number is not called ours."""
    return "ours" if frame.source == "own" else "published", "paper", "difference"


def cells(frame: TableFrame) -> list[list[Cell]]:
    """One list of cells for each row, in the order of `columns`."""
    lines = []
    for row, marks in _marked(frame):
        scored = []
        for score in frame.table.scores:
            gap = difference(row[f"{score}_difference"], score)
            paper = Cell(number(row[f"{score}_paper"], score), marks[score][2])
            scored += [_own(frame, row, score, marks), paper, Cell(gap)]
        lines.append([*_labels(frame, row), *scored, *_extras(frame, row)])
    return lines


def is_wide(frame: TableFrame) -> bool:
    """Whether three columns for each score would not fit a printed page."""
    return len(frame.table.scores) > WIDEST


def paper_columns(frame: TableFrame) -> list[Column]:
    """Columns for a printed page: the doubt about Dice in one of its own, no differences where they have no room."""
    scored = [Column(heading(score), part) for score in frame.table.scores for part in _paper_parts(frame, score)]
    return [*label_columns(frame), *scored, *(Column("", heading(name)) for name in frame.extras), Column("", "Runs")]


def paper_cells(frame: TableFrame) -> list[list[Cell]]:
    """As `cells`, in the order of `paper_columns`."""
    width = 1 + len(parts(frame)) - is_wide(frame)
    lines = []
    for line in cells(frame):
        left, step = len(frame.table.label_columns), len(parts(frame))
        scored: list[Cell] = []
        for index, score in enumerate(frame.table.scores):
            own, paper, gap = line[left + step * index : left + step * (index + 1)]
            shown = [replace(own, interval=""), *([Cell(own.interval)] if score == INTERVALLED else []), paper, gap]
            scored += shown[: width - (score != INTERVALLED)]
        lines.append([*line[:left], *scored, *line[left + step * len(frame.table.scores) :]])
    return lines


def format_interval(row: dict[Any, Any], score: str) -> str:
    """Spread over replicates, if there are several, and interval over test images; empty where there is neither."""
    low, high, spread = (row.get(f"{score}_{part}", math.nan) for part in ("low", "high", "spread"))
    shown = [] if math.isnan(spread) else [f"± {number(spread, score)}"]
    shown += [] if math.isnan(low) else [f"[{number(low, score)}, {number(high, score)}]"]
    return " ".join(shown)


def ours(frame: TableFrame, row: dict[Any, Any], score: str) -> str:
    """The number of one row and score; words where there is none."""
    if row["state"] in ("done", "scored") or not math.isnan(row[score]):
        return number(row[score], score)
    return "not published" if (row["state"], frame.source) == ("not run", "published") else str(row["state"])


def number(value: float, score: str) -> str:
    """A number with the paper's decimals; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.{_decimals(score)}f}"


def difference(value: float, score: str) -> str:
    """A signed number; one that rounds to zero has no sign, an unknown one no text."""
    if math.isnan(value):
        return ""
    text = f"{value:+.{_decimals(score)}f}"
    return text if float(text) else text[1:]


def _marked(frame: TableFrame) -> list[tuple[dict[Any, Any], dict[str, tuple[Mark, bool, Mark]]]]:
    """Each row with, by score, the mark of our number, whether it differs, and the mark of the paper's."""
    by_score = {
        score: list(zip(ranks(frame, score), differs(frame, score), paper_ranks(frame, score), strict=True))
        for score in frame.table.scores
    }
    rows = frame.rows.to_dict("records")
    return [(row, {score: marks[index] for score, marks in by_score.items()}) for index, row in enumerate(rows)]


def _paper_parts(frame: TableFrame, score: str) -> list[str]:
    own, paper, gap = parts(frame)
    spread = score == INTERVALLED and frame.rows[f"{score}_spread"].notna().any()
    interval = [f"{'± and ' if spread else ''}{100 * LEVEL:g} %"] if score == INTERVALLED else []
    return [own, *interval, paper, *([] if is_wide(frame) else [gap])]


def _labels(frame: TableFrame, row: dict[Any, Any]) -> list[Cell]:
    return [Cell(row[name]) for name in frame.table.label_columns]


def _own(frame: TableFrame, row: dict[Any, Any], score: str, marks: dict[str, tuple[Mark, bool, Mark]]) -> Cell:
    mark, differs_here, _ = marks[score]
    return Cell(ours(frame, row, score), mark, differs_here, format_interval(row, score))


def _extras(frame: TableFrame, row: dict[Any, Any]) -> list[Cell]:
    return [*(Cell(number(row[name], name)) for name in frame.extras), Cell(str(row["replicates"]))]


def _decimals(score: str) -> int:
    return 2 if score in COUNTED else DECIMALS
