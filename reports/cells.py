"""A TableFrame as printed text: columns with their headings, and the cells of each row. Shared by every renderer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reports.frames import COUNTED, NATIVE, OVERALL, TableFrame

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


@dataclass(frozen=True)
class Column:
    """A column: `group` is the score that its ours, paper and difference stand under, empty for a column by itself."""

    group: str
    heading: str


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


def cells(frame: TableFrame) -> list[list[str]]:
    """One list of texts for each row, in the order of `columns`."""
    return [_cells(frame, row) for row in frame.rows.to_dict("records")]


def is_wide(frame: TableFrame) -> bool:
    """Whether three columns a score would not fit a printed page."""
    return len(frame.table.scores) > WIDEST


def narrow_columns(frame: TableFrame) -> list[Column]:
    """As `columns`, with one column a score instead of three."""
    scored = [Column("", heading(score)) for score in frame.table.scores]
    return [*label_columns(frame), *scored, *(Column("", heading(name)) for name in frame.extras), Column("", "Runs")]


def narrow_cells(frame: TableFrame) -> list[list[str]]:
    """As `cells`, in the order of `narrow_columns`: a score's cell is our number, a stroke, and the paper's."""
    lines = []
    for row in frame.rows.to_dict("records"):
        scored = [f"{ours(frame, row, name)} / {number(row[f'{name}_paper'], name)}" for name in frame.table.scores]
        extras = [number(row[name], name) for name in frame.extras]
        lines.append([*(row[name] for name in frame.table.label_columns), *scored, *extras, str(row["replicates"])])
    return lines


def ours(frame: TableFrame, row: dict[Any, Any], score: str) -> str:
    """The number of one row and score; words where there is none."""
    if row["state"] == "done" or not math.isnan(row[score]):
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


def _cells(frame: TableFrame, row: dict[Any, Any]) -> list[str]:
    texts = [row[name] for name in frame.table.label_columns]
    for score in frame.table.scores:
        texts += [
            ours(frame, row, score),
            number(row[f"{score}_paper"], score),
            difference(row[f"{score}_difference"], score),
        ]
    texts += [number(row[name], name) for name in frame.extras]
    return [*texts, str(row["replicates"])]


def _decimals(score: str) -> int:
    return 2 if score in COUNTED else 3
