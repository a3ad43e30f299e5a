"""Group the rows of all tables of a report by data set and setting, each run once, and name rows in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.results.result import Result
from reports.select.comparable import RowState
from reports.tables.frames import TableFrame


@dataclass(frozen=True, eq=False)
class GroupedRow:
    """System with its replicates."""

    tables: tuple[str, ...]  # that it stands in
    name: str  # as in the first of them
    results: tuple[Result, ...]
    state: RowState
    runs: str  # their number, in words where some have no result

    @property
    def places(self) -> str:
        """Return the tables in words."""
        return ", ".join(name.replace("table", "Table ") for name in self.tables)


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows that may share a column: of one data set, setting, owner and precision."""

    dataset: str
    title: str  # as of the frames that the rows are from
    rows: tuple[GroupedRow, ...]


def grouped(frames: Iterable[TableFrame]) -> list[RowGroup]:
    """Return the rows with results, in the order of their first frame."""
    groups: dict[tuple[str, str], dict[tuple[str, ...], GroupedRow]] = defaultdict(dict)
    for frame in frames:
        for row, results in rows_with_results(frame):
            rows, keys = groups[results[0].identity["dataset"]["name"], frame.title], tuple(row["keys"])
            if keys in rows:
                rows[keys] = replace(rows[keys], tables=(*rows[keys].tables, frame.table.id))
            else:
                rows[keys] = GroupedRow((frame.table.id,), row_title(frame, row), results, row["state"], row["runs"])
    return [RowGroup(dataset, title, tuple(rows.values())) for (dataset, title), rows in groups.items()]


def numbered(names: Sequence[str]) -> list[str]:
    """Return names for files, each once: the second of a name gets a "-2"."""
    seen: dict[str, int] = defaultdict(int)
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name + (f"-{seen[name]}" if seen[name] > 1 else ""))
    return unique


def row_title(frame: TableFrame, row: Mapping[Any, Any]) -> str:
    """Return a row in a few words: its only label, or the columns that say "yes"."""
    labels = [(name, str(row[name])) for name in frame.table.label_columns]
    if len(labels) == 1 or row["scored"]:
        return labels[0][1]
    parts = [name if label == "yes" else f"{name} {label}" for name, label in labels if label != "no"]
    return " + ".join(parts) or f"no {', '.join(name for name, _ in labels)}"


def rows_with_results(frame: TableFrame) -> Iterator[tuple[dict[Any, Any], tuple[Result, ...]]]:
    """Yield each row that has results, with its results."""
    by_key = {result.key: result for result in frame.results}
    for row in frame.rows.to_dict("records"):
        if row["keys"]:
            yield row, tuple(by_key[key] for key in row["keys"])
