"""A table beside those of the paper, ready to print, and as Markdown, LaTeX and CSV; the page has a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reports.render import latex, markdown


@dataclass(frozen=True, eq=False)
class SideTable:
    """Cells as they are printed, notes with commands in backquotes, and the same numbers one a line, not rounded."""

    id: str  # of its files
    caption: str
    heads: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    tidy: pd.DataFrame
    left: int = 2  # columns of words before those of numbers
    picture: bytes | None = None  # PNG, in a file of the same name


@dataclass(frozen=True, eq=False)
class Chapter:
    """Some of them under one heading."""

    id: str
    short: str
    title: str
    tables: tuple[SideTable, ...]


def as_markdown(chapters: Sequence[Chapter]) -> str:
    """Chapters of the page; empty if there is no table."""
    parts = []
    for chapter in chapters:
        parts.append(f"## {chapter.title}\n")
        for table in chapter.tables:
            heading = "" if table.caption == chapter.title else f"### {table.caption}\n\n"
            texts = [[text.replace("|", "\\|") for text in line] for line in table.texts]
            grid = markdown.lines(table.heads, texts, table.left)
            picture = f"![{table.caption}]({table.id}.png)\n\n" if table.picture else ""
            notes = "\n".join(f"- {note}" for note in table.notes)
            parts.append(f"{heading}{grid}\n\n{picture}{notes}\n")
    return "\n".join(parts)


def as_latex(table: SideTable) -> str:
    """One table environment for `\\input`; see `reports.render.latex`."""
    title = latex.escape(table.caption)
    lines = (
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption[{title}]{{{title}. {latex.escape(' '.join(table.notes))}}}",
        r"\smallskip",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * table.left}{'r' * (len(table.heads) - table.left)}}}",
        r"\toprule",
        " & ".join(map(latex.escape, table.heads)) + r" \\",
        r"\midrule",
        *(" & ".join(map(latex.escape, line)) + r" \\" for line in table.texts),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
        "",
    )
    return "\n".join(lines)


def as_csv(table: SideTable) -> str:
    """One line for each row and number."""
    return table.tidy.to_csv(index=False, lineterminator="\n")
