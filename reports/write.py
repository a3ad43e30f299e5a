"""Write report files for names of tables, figures and claims, as the command `report` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.protocol.figures import Figure
from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.protocol.targets import CLAIM_SET, find_items, tables_of
from benchmarks.results.home import Home, open_home
from reports.extra_tables.calibration import calibration_section
from reports.extra_tables.cross_dataset import scored_sections
from reports.extra_tables.objects import object_tables
from reports.extra_tables.objects_text import object_section
from reports.extra_tables.speed import Efficiency, efficiency_section, read_efficiency
from reports.extra_tables.study import study_section
from reports.figures.examples import find_figures
from reports.figures.files import render_figure
from reports.formatting import plural
from reports.render import csv, html, latex, markdown
from reports.render.html_figures import figure_views
from reports.render.html_strip import prediction_strip
from reports.select.results import PUBLISHED, collect
from reports.select.studies import has_runs_of_its_own
from reports.tables.assemble import Report, assemble
from reports.verdicts.output import claims_json, verdicts_json
from reports.verdicts.summary import summarize
from rssam.errors import UnknownName
from rssam.files import write_atomic

FORMATS = ("md", "tex", "csv", "html")


@dataclass(frozen=True)
class WrittenReport:
    """What `write_report` wrote.

    Attributes:
        paths: the files.
        notes: sentences on figures that could not be drawn whole, and on damaged records of speed. Without a page,
            also on results that were left out.
        filled: what has results, in a few words each: "table5 1 of 5 rows".

    Examples:
        >>> from pathlib import Path
        >>> from reports import WrittenReport
        >>> WrittenReport((Path("report/report.md"),), notes=(), filled=("table5 1 of 5 rows",)).paths[0].name
        'report.md'
    """

    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    filled: tuple[str, ...] = ()


def write_report(
    items: Sequence[str],
    formats: Sequence[str],
    out: Path | str,
    home: Path | str | Home | None = None,
    published: Path | str = PUBLISHED,
    named: Sequence[str] = (),
) -> WrittenReport:
    """Write a report: `report.md`, `report.html`, and for each table `<table>.tex` and `<table>.csv`.

    Figures are also written as PNG and PDF. Where metrics of objects were measured, or probabilities counted, both
    pages have sections on them, and there are files `objects-<data set>` and `calibration-<data set>`.

    The claims are a part of the page, or `claims.md` if nothing else is asked for, and `verdicts.json` and
    `claims.json` for programs. Nothing is trained: a row without a result names the command that fills it.

    A study has a chapter of its own where it is named. A report on all has it once a row was run that only it has.

    Args:
        items: "table1" to "table7", "fig6", "fig7", "claims", "still-sam", or "all", which includes the claims.
        formats: of "md", "tex", "csv" and "html".
        out: folder to write. Files of the same names are replaced.
        home: the home folder, see `benchmarks.open_home`.
        published: folder of published results; by default those that come with this version.
        named: images that the figures show besides those chosen by their rule, as "deepglobe:STEM".

    Raises:
        UserError: There is no such item, format or image, and the message lists the choices; nothing is written.

    Examples:
        The report on the home of docs/python.md, as CSV files:

        >>> from pathlib import Path
        >>> from reports import write_report
        >>> written = write_report(["table5"], ["csv"], "report", "example")
        >>> Path("report/table5.csv") in written.paths, written.filled[0]
        (True, 'table5 1 of 5 rows')
    """
    return write_report_of(items, formats, Path(out), open_home(home).root, Path(published), named)


def write_report_of(
    items: Sequence[str],
    formats: Sequence[str],
    out: Path,
    home: Path,
    published: Path = PUBLISHED,
    named: Sequence[str] = (),
) -> WrittenReport:
    """Write the report of a home that is open, see `write_report`."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UnknownName(f"unknown format {', '.join(unknown) or 'none'!r}: choose from {', '.join(FORMATS)}")
    collection = collect(home, published)
    found = [STILL_SAM.id] if "all" in items and has_runs_of_its_own(STILL_SAM, collection) else []
    chosen = find_items([*items, CLAIM_SET.id, *found] if "all" in items else items)
    report = assemble(tables_of(chosen), collection)
    objects, damaged = object_tables(report.frames, home)
    report = replace(report, damaged=(*report.damaged, *damaged))
    about_costs = "all" in items or "html" in formats or STILL_SAM in chosen
    costs = read_efficiency(home) if about_costs else Efficiency((), ())
    extra_sections = [
        *([study_section(STILL_SAM, collection, costs.records)] if STILL_SAM in chosen else []),
        *scored_sections(report, collection),
        *object_section(objects),
        *calibration_section(report.frames, pictures=bool({"md", "html"} & set(formats))),
        *(efficiency_section(costs) if "all" in items else ()),
    ]
    extra_tables = [table for section in extra_sections for table in section.tables]
    figures = find_figures([item for item in chosen if isinstance(item, Figure)], collection, home, named)
    drawn = [render_figure(rows) for rows in figures]
    files = {name: content for figure in drawn for name, content in figure.files.items()}
    notes = [f"speed/{line}" for line in costs.damaged] + [note for figure in drawn for note in figure.notes]
    if not {"md", "html"} & set(formats):  # CSV and LaTeX have no place for it
        notes += [f"Left out: {line}" for line in (*report.damaged, *report.left_out)]
    pictures = [figure for figure in drawn if figure.page is not None]
    verdicts = ""
    summary = summarize(collection, home) if CLAIM_SET in chosen or "html" in formats else None
    if summary and CLAIM_SET in chosen:
        files |= {"verdicts.json": verdicts_json(summary), "claims.json": claims_json(summary)}
        verdicts = markdown.verdicts(summary)
    for name in dict.fromkeys(formats):
        if name == "md" and chosen == [CLAIM_SET]:
            files["claims.md"] = verdicts.encode()
        elif name == "md":
            page = markdown.render(report, pictures)
            for part in (markdown.extra_sections(extra_sections), verdicts):
                page = f"{page.rstrip()}\n\n{part}" if part else page
            files["report.md"] = page.encode()
        elif name == "html":
            page = html.render(
                report, collection, figure_views(figures, home), summary, extra_sections, costs.records,
                prediction_strip(report.results("own"), home), claims=CLAIM_SET in chosen,
            )  # fmt: skip
            files["report.html"] = page.encode()
        else:
            render = {"tex": latex.render, "csv": csv.render}[name]
            files |= {f"{table.id}.{name}": render(frames).encode() for table, frames in report.tables}
            render_extra = {"tex": latex.extra, "csv": csv.extra}[name]
            files |= {f"{table.id}.{name}": render_extra(table).encode() for table in extra_tables}
    files |= {f"{table.id}.png": table.picture for table in extra_tables if table.picture is not None}
    for file, content in files.items():
        write_atomic(out / file, content)
    filled = [
        *_filled_tables(report),
        *_filled_studies(report),
        *dict.fromkeys(picture.figure.id for picture in pictures),
        *(section.short for section in extra_sections if section.tables and section.id != STILL_SAM.id),
    ]
    return WrittenReport(tuple(out / file for file in files), tuple(notes), tuple(filled))


def _filled_tables(report: Report) -> list[str]:
    """Return how many rows of each table have a result under the setting that fills most."""
    filled = []
    for table, frames in report.tables:
        counts = [Counter(frame.rows["state"]) for frame in frames]
        best = max(counts, key=lambda count: count["done"])
        others = [f"{best[state]} {state}" for state in ("collapsed", "diverged", "failed", "scored") if best[state]]
        if best["done"] or others:
            total = max(len(table.rows), best["done"])  # controls and own systems are rows too
            filled.append(" and ".join([f"{table.id} {best['done']} of {total} rows", *others]))
    return filled


def _filled_studies(report: Report) -> list[str]:
    results = {(group.table.study, result.key) for group in report.studies for result in group.results}
    counts = Counter(study for study, _ in results)
    return [f"{study} {count} {plural(count, 'result')}" for study, count in counts.items()]
