"""Render a report as one Markdown page, with templates/report.md.j2 and templates/verdicts.md.j2."""

from __future__ import annotations

from collections.abc import Sequence

from reports.extra_tables.extra_table import ExtraSection
from reports.figures.files import RenderedFigure
from reports.render.templates import Markdown, environment
from reports.select.settings import PAPER_SETTING
from reports.tables.assemble import Report, made_with
from reports.tables.cells import Cell, cells, columns
from reports.tables.frames import TableFrame, heading
from reports.tables.ranking import DAGGER, legend
from reports.verdicts import wording
from reports.verdicts.summary import VerdictSummary
from rssam.escape import markdown, markdown_prose


def render(report: Report, pictures: Sequence[RenderedFigure] = ()) -> str:
    """Return the whole page, except the sections of tables beyond the paper's (`extra_sections`)."""
    template = environment().get_template("report.md.j2")
    return template.render(
        report=report,
        pictures=pictures,
        own=report.results("own"),
        published=report.results("published"),
        made_with=made_with,
        compared=any(frame.compared for frame in report.frames),
        grid=grid,
        heading=heading,
        reading=reading,
        sources=sources,
    )


def grid(frame: TableFrame) -> Markdown:
    """Return the rows as a Markdown table."""
    heads = [f"{column.group} {column.heading}".strip() for column in columns(frame)]
    return lines(heads, [[marked(cell) for cell in row] for row in cells(frame)], len(frame.table.label_columns))


def verdicts(summary: VerdictSummary) -> str:
    """Return the section of verdicts and claims, from its first heading to its last line."""
    template = environment().get_template("verdicts.md.j2")
    return template.render(summary=summary, wording=wording, paper_setting=PAPER_SETTING).strip() + "\n"


def extra_sections(sections: Sequence[ExtraSection]) -> str:
    """Return the sections of tables beyond the paper's; empty if there is none."""
    parts = []
    for section in sections:
        parts.append(f"## {markdown(section.title)}\n")
        for table in section.tables:
            heading = "" if table.caption == section.title else f"### {markdown(table.caption)}\n\n"
            texts = [[markdown(text) for text in row] for row in table.texts]
            picture = f"![{markdown(table.caption)}]({table.id}.png)\n\n" if table.picture else ""
            notes = "\n".join(f"- {markdown_prose(note)}" for note in table.notes)
            parts.append(f"{heading}{lines(table.heads, texts, table.left)}\n\n{picture}{notes}\n")
    return "\n".join(parts)


def lines(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> Markdown:
    """Return a Markdown table whose first `left` columns are aligned at the left, the others at the right.

    Heads are plain text, cells are Markdown already.
    """
    ruler = [":--" if index < left else "--:" for index in range(len(heads))]
    return Markdown("\n".join(f"| {' | '.join(row)} |" for row in ([*map(markdown, heads)], ruler, *rows)))


def reading(frame: TableFrame) -> str:
    """Return what bold, italics and the dagger mean in `grid`."""
    return legend(frame, "in bold", "in italics")


def sources(frame: TableFrame) -> str:
    """Return the result files behind the numbers, each once."""
    return ", ".join(f"`{result.key}`" for result in frame.results)


def marked(cell: Cell) -> str:
    """Return a cell's text with its marks, spread and interval."""
    text = markdown(cell.text)
    shown = {"best": f"**{text}**", "second": f"*{text}*"}.get(cell.mark, text)
    return f"{shown}{DAGGER if cell.differs else ''} {cell.interval}".strip()
