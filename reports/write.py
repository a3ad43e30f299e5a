"""From table names to report files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import find_tables
from data_prep.base import write_atomic
from reports import csv_table, latex, markdown
from reports.collection import PUBLISHED, collect
from reports.report import assemble
from rssam.contract import UnknownName

FORMATS = ("md", "tex", "csv")


def write_report(
    items: Sequence[str], formats: Sequence[str], out: Path, home: Path, published: Path = PUBLISHED
) -> list[Path]:
    """Write `report.md`, and for each table `<table>.tex` and `<table>.csv`, as `formats` asks; return their paths.

    Never trains: a row without a result says so, and names the command that fills it. Raises UnknownName on an unknown
    item or format before anything is written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UnknownName(f"unknown format {', '.join(unknown) or 'none'!r}: choose from {', '.join(FORMATS)}")
    tables = find_tables(list(items))
    report = assemble(tables, collect(home, published))
    files: dict[str, str] = {}
    for name in dict.fromkeys(formats):
        if name == "md":
            files["report.md"] = markdown.render(report)
        else:
            render = {"tex": latex.render, "csv": csv_table.render}[name]
            files |= {f"{table.id}.{name}": render(frames) for table, frames in report.tables}
    for file, text in files.items():
        write_atomic(out / file, text.encode())
    return [out / file for file in files]
