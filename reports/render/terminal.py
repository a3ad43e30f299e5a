"""Print tables on the terminal. Wide tables have one column for each score: our number with its difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.extra_tables.extra_table import ExtraTable
from reports.tables.cells import difference, heading, number, ours, parts
from reports.tables.frames import TableFrame
from rssam.escape import one_line, prose_pieces

THREE_COLUMN_SCORES = ("dice", "jaccard")
"""Scores with three columns each; the others have room only in a file."""

LABEL = 32
"""Letters of a label beside numbers, which are folded last."""


def show(frame: TableFrame, console: Console) -> None:
    """Print the table with its notes."""
    console.print(terminal_table(frame))
    _print_notes(frame.notes, console)


def terminal_table(frame: TableFrame) -> RichTable:
    """Return labels, then ours, paper and difference of Dice and Jaccard; without either, one column a class."""
    scores = [score for score in frame.table.scores if score in THREE_COLUMN_SCORES]
    # Table 5 with "collapsed" in it must fit 80 columns: a clipped number would be read as another one.
    table = RichTable(
        title=f"{one_line(frame.table.title)}\n{one_line(frame.title)}",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for name in frame.table.label_columns:
        table.add_column(name, overflow="fold")
    for score in scores:
        for part in parts(frame):
            part = "diff." if part == "difference" else part
            table.add_column(f"{heading(score)}\n{part}", justify="right", no_wrap=True)
    if not scores:
        for score in frame.table.scores:
            table.add_column(f"{heading(score)}\n{parts(frame)[0]}", justify="right", no_wrap=True)
    for row in frame.rows.to_dict("records"):
        texts = [row[name] for name in frame.table.label_columns]
        for score in scores:
            gap = row[f"{score}_difference"]
            texts += [ours(frame, row, score), number(row[f"{score}_paper"], score)]
            texts += [difference(gap, score)] if frame.compared else []
        if not scores:
            for score in frame.table.scores:
                gap = difference(row[f"{score}_difference"], score)
                texts.append(ours(frame, row, score) + (f" ({gap})" if gap else ""))
        table.add_row(
            *(Text(one_line(text), style="" if row["state"] in ("done", "scored") else "dim") for text in texts)
        )
    return table


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
