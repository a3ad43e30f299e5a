"""Print tables on the terminal. Wide tables have one column for each score: our number with its difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.extra_tables.extra_table import ExtraTable
from reports.tables.cells import cells, columns
from reports.tables.frames import TableFrame, heading
from rssam.escape import one_line, prose_pieces

THREE_COLUMN_SCORES = ("dice", "jaccard")
"""Scores with three columns each; the others have room only in a file."""

LABEL = 32
"""Letters of a label beside numbers, which are folded last."""


def show(frame: TableFrame, console: Console) -> None:
    """Print the table: labels, then ours, paper and difference of Dice and Jaccard; without either, one column a class.

    Its notes stand below it.
    """
    scores = [score for score in frame.table.scores if score in THREE_COLUMN_SCORES]
    # Table 5 with "collapsed" in it must fit 80 columns: a clipped number would be read as another one.
    table = RichTable(
        title=f"{one_line(heading([frame]))}\n{one_line(frame.title)}",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    shown = columns(frame)
    rows = [list(zip(shown, line, strict=True)) for line in cells(frame)]
    for column in shown:
        if column.kind == "label":
            table.add_column(column.heading, overflow="fold")
        elif column.score in scores or (not scores and column.kind == "ours"):
            part = "diff." if column.kind == "difference" else column.heading
            table.add_column(f"{column.group}\n{part}", justify="right", no_wrap=True)
    for state, row in zip(frame.rows["state"], rows, strict=True):
        texts = [cell.text for column, cell in row if column.kind == "label" or column.score in scores]
        if not scores:
            known = [(column, cell) for column, cell in row if cell.text]
            gaps = {column.score: f" ({cell.text})" for column, cell in known if column.kind == "difference"}
            texts += [f"{cell.text}{gaps.get(column.score, '')}" for column, cell in row if column.kind == "ours"]
        table.add_row(*(Text(one_line(text), style="" if state in ("done", "scored") else "dim") for text in texts))
    console.print(table)
    _print_notes(frame.notes, console)


def print_extra(table: ExtraTable, console: Console) -> None:
    """Print a table beyond the paper's, with its notes; numbers fold instead of being clipped."""
    for place_of_part, part in enumerate(table.parts_within(console.width)):
        title = None if place_of_part else table.caption
        printed = RichTable(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        for place, head in enumerate(part.heads):
            justify: Literal["left", "right"] = "left" if place < part.left else "right"
            kept = LABEL if table.panels and place == 0 else None
            printed.add_column(head, justify=justify, overflow="fold", min_width=kept, max_width=kept)
        for row in part.texts:
            printed.add_row(*(Text(one_line(text)) for text in row))
        console.print(printed)
    _print_notes(table.notes, console)


def _print_notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        words = (text if mark == "`" else f"{mark}{text}{mark}" for mark, text in prose_pieces(note))
        console.print(Text(f"- {''.join(words)}"), soft_wrap=True)
