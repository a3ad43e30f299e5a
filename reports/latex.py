"""Tables as LaTeX for `\\input`; they need the packages booktabs and graphicx. The caption holds the notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from reports.cells import Column, cells, columns, is_wide, label_columns, narrow_cells, narrow_columns, parts
from reports.frames import TableFrame

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def render(frames: Sequence[TableFrame]) -> str:
    """One table environment for each frame."""
    return "\n".join(_table(frame) for frame in frames)


def document(body: str) -> str:
    """A document of its own around rendered tables, to look at them."""
    head = r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{booktabs,graphicx}"
    return "\n".join((*head, r"\begin{document}", body, r"\end{document}", ""))


def escape(text: str) -> str:
    """Plain text for LaTeX; what stands in backquotes is set as code."""
    pieces = ["".join(_ESCAPES.get(letter, letter) for letter in piece) for piece in re.split(r"`([^`]*)`", text)]
    # The empty group keeps the "--" of an option from turning into a dash.
    pieces[1::2] = [rf"\texttt{{{code.replace('--', '-{}-')}}}" for code in pieces[1::2]]
    return "".join(pieces)


def _table(frame: TableFrame) -> str:
    wide = is_wide(frame)
    heads, texts = (narrow_columns(frame), narrow_cells(frame)) if wide else (columns(frame), cells(frame))
    width, left = len(heads), len(label_columns(frame))
    title = escape(f"{frame.table.title} ({frame.title})")
    reading = f"Each score: {parts(frame)[0]} / paper. " if wide else ""
    body = [" & ".join(_cell(text) for text in line) + r" \\" for line in texts]
    lines = (
        *(f"% {', '.join(row['keys'])}" for row in frame.rows.to_dict("records") if row["keys"]),
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption[{title}]{{{title}. {reading}{escape(' '.join(frame.notes))}}}",
        r"\smallskip",
        # A wide table is shrunk to the line, a narrow one keeps its size.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (width - left)}}}",
        r"\toprule",
        *_heads(heads),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
        "",
    )
    return "\n".join(lines)


def _heads(heads: Sequence[Column]) -> tuple[str, ...]:
    """Scores over their three columns, rules below them, then the single headings."""
    upper, rules, first = [], [], 1
    for group, members in groupby(heads, key=lambda column: column.group):
        span = len(list(members))
        if group:
            upper.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        else:
            upper += [""] * span
        first += span
    lower = [escape(column.heading) for column in heads]
    if not rules:
        return (" & ".join(lower) + r" \\",)
    return " & ".join(upper) + r" \\", " ".join(rules), " & ".join(lower) + r" \\"


def _cell(text: str) -> str:
    """A cell with a true minus sign where a number is negative."""
    return f"${text}$" if re.fullmatch(r"[+-]\d.*", text) else escape(text)
