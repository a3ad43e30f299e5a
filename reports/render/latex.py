"""Render tables as LaTeX for `\\input`, with the packages booktabs, graphicx and threeparttable.

The caption is one sentence; what a reader must know of the numbers stands as notes below the table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from reports.extra_tables.extra_table import ExtraTable
from reports.tables.cells import Cell, Column, paper_table
from reports.tables.frames import TableFrame, heading
from reports.tables.ranking import DAGGER, legend
from rssam.escape import latex, latex_prose, one_line


def render(frames: Sequence[TableFrame]) -> str:
    """Return one table environment for each frame."""
    return "\n".join(_table(frame) for frame in frames)


def extra(table: ExtraTable) -> str:
    """Return the table environment of a table beyond the paper's."""
    tabulars = []
    for part in table.parts:
        heads, *body = (" & ".join(map(_signed, row)) + r" \\" for row in (part.heads, *part.texts))
        alignment = "l" * part.left + "r" * (len(part.heads) - part.left)
        tabulars.append(_tabular(alignment, (heads,), body))
    return _environment(
        latex(table.caption), table.notes, tabulars, r"\scriptsize" if table.panels else r"\footnotesize"
    )


def _table(frame: TableFrame) -> str:
    heads, printed = paper_table(frame)
    left = len(frame.table.label_columns)
    title = latex(f"{heading([frame])} ({frame.title})")
    notes = [note for note in (legend(frame, "in bold", "underlined"), *frame.notes) if note]
    rows = frame.rows.to_dict("records")
    body = [" & ".join(_cell(cell) for cell in row) + r" \\" for row in printed]
    sources = [f"% {one_line(', '.join(row['keys']) or row['scored'])}" for row in rows if row["keys"] or row["scored"]]
    tabular = _tabular("l" * left + "r" * (len(heads) - left), _heads(heads), body)
    return "\n".join((*sources, _environment(title, notes, [tabular])))


def _tabular(alignment: str, heads: Sequence[str], body: Sequence[str]) -> tuple[str, ...]:
    """Return a tabular around escaped lines."""
    begin = rf"\begin{{tabular}}{{{alignment}}}"
    return begin, r"\toprule", *heads, r"\midrule", *body, r"\bottomrule", r"\end{tabular}}"


def _environment(
    title: str, notes: Sequence[str], tabulars: Sequence[Sequence[str]], size: str = r"\footnotesize"
) -> str:
    """Return a table environment around tabulars, with the title as caption and notes, not yet escaped, below."""
    boxes = range(0, 2 * len(tabulars), 2)  # TeX's scratch boxes have even numbers
    used = [rf"\resizebox{{\ifdim\wd{n}>\linewidth\linewidth\else\wd{n}\fi}}{{!}}{{\usebox{n}}}" for n in boxes]
    lines = (
        r"\begin{table}[htbp]",
        r"\centering",
        r"\setlength{\tabcolsep}{3pt}",
        # made first: threeparttable measures every tabular within it
        *(line for n, tabular in zip(boxes, tabulars, strict=True) for line in (rf"\sbox{n}{{%", *tabular)),
        r"\begin{threeparttable}",
        rf"\caption{{{title}.}}",
        # A wide table is shrunk to the line, a narrow one keeps its size. Notes are as wide as the tabular around it.
        r"\begin{tabular}{@{}c@{}}",
        *"\n\\\\\\noalign{\\vskip 2ex}\n".join(used).split("\n"),
        r"\end{tabular}",
        *_notes(notes, size),
        r"\end{threeparttable}",
        r"\end{table}",
        "",
    )
    return "\n".join(lines)


def _notes(notes: Sequence[str], size: str) -> tuple[str, ...]:
    items = tuple(rf"\item {latex_prose(note)}" for note in notes)
    return (r"\begin{tablenotes}[flushleft]", size, *items, r"\end{tablenotes}") if notes else ()


def _signed(text: str) -> str:
    """Return a cell of numbers in words with true minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", latex(text))


def _heads(heads: Sequence[Column]) -> tuple[str, ...]:
    """Return scores over their columns with rules below them; a lone heading is on both lines, and so stays narrow."""
    upper, rules, lower, first = [], [], [], 1
    for group, members in groupby(heads, key=lambda column: column.group):
        names = [column.heading for column in members]
        if group:
            upper.append(rf"\multicolumn{{{len(names)}}}{{c}}{{{latex(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + len(names) - 1}}}")
            lower += [latex(name) for name in names]
        else:
            parts = [name.rpartition(" ") for name in names]
            upper += [latex(before) for before, _, _ in parts]
            lower += [latex(last) for _, _, last in parts]
        first += len(names)
    return " & ".join(upper) + r" \\", " ".join(rules), " & ".join(lower) + r" \\"


def _cell(cell: Cell) -> str:
    """Return a cell with a true minus sign where a number is negative, marked, and with a dagger where it differs."""
    text = f"${cell.text}$" if re.fullmatch(r"[+-][\d.]+", cell.text) else latex(cell.text)
    marked = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
    # No width, so that digits stay below each other.
    return f"{marked}\\rlap{{{latex(DAGGER)}}}" if cell.differs else marked
