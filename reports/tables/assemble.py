"""Assemble the tables of a report: each under every setting that has results, and where the numbers come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.protocol.tables import Table
from benchmarks.results.result import Result
from reports.formatting import format_range, join_words
from reports.select.comparable import ResultGroup, comparable_groups
from reports.select.results import Collection
from reports.select.settings import PAPER_SETTING, settings
from reports.tables.frames import TableFrame, make_frame
from rssam.escape import in_prose


@dataclass(frozen=True, eq=False)
class Report:
    """Frames by table, in the order asked for, and the files no table uses; results of studies have no frames."""

    tables: tuple[tuple[Table, tuple[TableFrame, ...]], ...]
    damaged: tuple[str, ...]
    left_out: tuple[str, ...]
    studies: tuple[ResultGroup, ...] = ()

    @property
    def frames(self) -> tuple[TableFrame, ...]:
        """Return all frames in order."""
        return tuple(frame for _, frames in self.tables for frame in frames)

    def without_result(self, source: str) -> str:
        """Return how many runs of one owner behind the tables have no result, in a sentence; empty without one."""
        failed = {lost.key: lost for found in self._behind if found.source == source for lost in found.failed}
        if not failed:
            return ""
        counts = Counter(lost.state for lost in failed.values())
        listed = join_words([f"{counts[state]} {state}" for state in sorted(counts)])
        return f"Runs without a result: {listed}. Their rows say so, and no mean over the others is tabled."

    def results(self, source: str) -> tuple[Result, ...]:
        """Return the results of one owner behind any of the tables, each once."""
        by_key = {result.key: result for found in self._behind if found.source == source for result in found.results}
        return tuple(by_key.values())

    @property
    def _behind(self) -> tuple[TableFrame | ResultGroup, ...]:
        return (*self.frames, *self.studies)


def assemble(tables: Sequence[Table], collection: Collection) -> Report:
    """Return the report on these tables; a table without results is under the paper's setting with rows "not run".

    Of a study's tables there are the results alone, because its chapter sets the data sets side by side.
    """
    papers = [table for table in tables if not table.study]
    grouped = [(table, _groups(table, collection)) for table in papers]
    framed = tuple((table, tuple(make_frame(group) for group in groups)) for table, groups in grouped)
    studies = groups_of_tables([table for table in tables if table.study], collection)
    return Report(framed, collection.damaged, collection.left_out, tuple(studies))


def results_of_tables(tables: Sequence[Table], collection: Collection) -> list[Result]:
    """Return the user's own results behind these tables, under every setting, each once."""
    own = [group for group in groups_of_tables(tables, collection) if group.source == "own"]
    return list({result.key: result for group in own for result in group.results}.values())


def groups_of_tables(tables: Sequence[Table], collection: Collection) -> list[ResultGroup]:
    """Return the groups of these tables, under every setting."""
    return [group for table in tables for group in _groups(table, collection)]


def made_with(results: Sequence[Result]) -> str:
    """Return software, device and days of these results in one sentence, as they recorded them."""
    records = [result.provenance for result in results]
    versions = [record.get("versions") or {} for record in records]
    days = finished_days(results)
    parts = [
        _named("rssam-bench", (installed.get("rssam-bench") for installed in versions)),
        _named("commit", (record.get("commit") for record in records)),
        _named("torch", (installed.get("torch") for installed in versions)),
        _named("on", (record.get("device") for record in records)),
        f"finished {days}" if days else "",
    ]
    return ", ".join(part for part in parts if part)


def finished_days(results: Sequence[Result]) -> str:
    """Return the first and the last day on which one of these results was finished; empty if none recorded it."""
    recorded = [result.provenance.get("finished") for result in results]
    days = sorted(str(finished)[:10] for finished in recorded if finished)
    return format_range(days[0], days[-1]) if days else ""


def _groups(table: Table, collection: Collection) -> list[ResultGroup]:
    shown = settings(collection, table) or [PAPER_SETTING]
    return [group for setting in shown for group in comparable_groups(table, collection, setting)]


def _named(name: str, values: Iterable[object]) -> str:
    """Return a name with its distinct values, or nothing if none was recorded."""
    known = sorted({in_prose(str(value)) for value in values if value})
    return f"{name} {' and '.join(known)}" if known else ""
