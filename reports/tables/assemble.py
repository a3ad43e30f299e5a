"""What one report holds: the chosen tables under every setting that has results, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.protocol.tables import Table
from benchmarks.results.result import Result
from reports.select.comparable import ResultGroup, comparable_groups
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING, settings
from reports.tables.frames import TableFrame, make_frame
from reports.tables.intervals import Resamples


@dataclass(frozen=True, eq=False)
class Report:
    """Frames by table, in the order asked for, and the files no table uses."""

    tables: tuple[tuple[Table, tuple[TableFrame, ...]], ...]
    damaged: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def frames(self) -> tuple[TableFrame, ...]:
        """All frames in order."""
        return tuple(frame for _, frames in self.tables for frame in frames)

    def results(self, source: str) -> tuple[Result, ...]:
        """The results of one owner behind any of the tables, each once."""
        found = {result.key: result for frame in self.frames if frame.source == source for result in frame.results}
        return tuple(found.values())


def assemble(tables: Sequence[Table], collection: Collection) -> Report:
    """The report on these tables; one without any result stands under the paper's setting with rows "not run"."""
    chosen = [(table, _sections(table, collection)) for table in tables]
    resamples = Resamples()
    # All at once: rows on the same images then share one drawing of them.
    resamples([row for _, each in chosen for section in each for row in section.rows])
    framed = tuple((table, tuple(make_frame(section, resamples) for section in each)) for table, each in chosen)
    return Report(framed, collection.damaged, collection.left_out)


def results_of_tables(tables: Sequence[Table], collection: Collection) -> list[Result]:
    """The user's own results behind these tables, under every setting, each once."""
    every = [section for table in tables for section in _sections(table, collection) if section.source == "own"]
    return list({result.key: result for section in every for result in section.results}.values())


def made_with(results: Sequence[Result]) -> str:
    """Software, device and days of these results in one sentence, as they recorded it. No clock of the report's own."""
    records = [result.provenance for result in results]
    versions = [record.get("versions") or {} for record in records]
    days = _distinct(str(record["finished"])[:10] for record in records if record.get("finished"))
    parts = [
        _named("rssam-bench", (one.get("rssam-bench") for one in versions)),
        _named("commit", (record.get("commit") for record in records)),
        _named("torch", (one.get("torch") for one in versions)),
        _named("on", (record.get("device") for record in records)),
        f"finished {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else "",
    ]
    return ", ".join(part for part in parts if part)


def _sections(table: Table, collection: Collection) -> list[ResultGroup]:
    under = settings(collection, table) or [PAPER_SETTING]
    return [section for setting in under for section in comparable_groups(table, collection, setting)]


def _named(name: str, values: Iterable[object]) -> str:
    """A name with its distinct values, or nothing if none was recorded."""
    known = _distinct(str(value) for value in values if value)
    return f"{name} {' and '.join(known)}" if known else ""


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))
