"""Make README.md and the tables of a bundle from its results alone, as `publish` writes and `verify` compares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.protocol.studies.study import Study
from benchmarks.protocol.tables import Table
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from reports.bundle.files import README
from reports.extra_tables.cross_dataset import scored_sections
from reports.extra_tables.extra_table import ExtraSection
from reports.extra_tables.study import study_section
from reports.formatting import plural
from reports.render import csv, markdown
from reports.render.markdown import grid, reading, sources
from reports.select.results import Collection, collect
from reports.tables.assemble import Report, assemble, made_with
from reports.tables.frames import TableFrame, heading
from rssam import escape
from rssam.escape import markdown_prose


def documents(folder: Path, tables: Sequence[str]) -> dict[str, bytes]:
    """Return README.md and the tables as CSV from the results in a bundle's folder alone: equal for equal results."""
    collection = collect(folder, folder / "nothing published")
    items = [WITH_TABLES[name] for name in tables]
    report = assemble(tables_of(items), collection)
    studies = {item.id: item for item in items if isinstance(item, Study)}
    filled_studies = dict.fromkeys(group.table.study for group in report.studies if group.tried)
    extra_sections = [study_section(studies[name], collection) for name in filled_studies]
    extra_sections += scored_sections(report, collection)
    filled = [
        (table, [frame for frame in frames if (frame.rows["state"] != "not run").any()])
        for table, frames in report.tables
    ]
    files = {README: _readme(filled, extra_sections, report, collection).encode()}
    files |= {f"tables/{table.id}.csv": csv.render(frames).encode() for table, frames in filled if frames}
    for section in extra_sections:
        files |= {f"tables/{table.id}.csv": csv.extra(table).encode() for table in section.tables}
    return files


def _readme(
    tables: Sequence[tuple[Table, Sequence[TableFrame]]],
    extra_sections: Sequence[ExtraSection],
    report: Report,
    collection: Collection,
) -> str:
    results = [stored.result for stored in collection.stored]
    lines = [
        "# Results made with rssam-bench",
        "",
        f"{len(results)} results of runs and {len(collection.submissions)} of other predictions, as integer counts of "
        "every test image (`results/`, `scores/`), with the splits they were counted on (`splits/`: names and digests "
        "of source files). No image, mask or prediction is here.",
    ]
    if collection.failed:
        count = len(collection.failed)
        lines += [
            "",
            f"{count} {plural(count, 'run')} diverged or failed and {'has' if count == 1 else 'have'} no result "
            "(`runs/`): the rows below say so.",
        ]
    if results:
        lines += ["", markdown_prose(f"Made with: {made_with(results)}.")]
    lines += [
        "",
        "To check it: `rssam-bench verify FILE`. That makes every number below again from the counts. It shows that "
        "the files agree with each other and with the rules; what a run really did only a second run can show.",
        "",
        'In the tables "ours" are the results of this bundle; differences are ours minus the paper.',
    ]
    for table, frames in tables:
        for frame in frames:
            lines += [
                "",
                f"## {table.id.replace('table', 'Table ')}. {markdown_prose(heading([frame]))}",
                "",
                markdown_prose(f"{frame.title}."),
            ]
            notes = [f"- {markdown_prose(note)}" for note in (reading(frame), *frame.notes) if note]
            lines += ["", grid(frame), "", *notes]
            if frame.results:
                lines.append(markdown_prose(f"- Result files: {sources(frame)}."))
    if extra_sections:
        lines += ["", markdown.extra_sections(extra_sections).rstrip()]
    for line in (*report.damaged, *report.left_out):
        lines += ["", f"Left out: {escape.markdown(line)}"]
    return "\n".join(lines) + "\n"
