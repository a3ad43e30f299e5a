"""The rows of a table that have results, as the charts of the page name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.results.store import Result
from reports.tables.frames import TableFrame


def row_title(frame: TableFrame, row: Mapping[Any, Any]) -> str:
    """A row in a few words: its only label, or the columns that say "yes"."""
    labels = [(name, str(row[name])) for name in frame.table.label_columns]
    if len(labels) == 1 or row["scored"]:
        return labels[0][1]
    parts = [name if label == "yes" else f"{name} {label}" for name, label in labels if label != "no"]
    return " + ".join(parts) or f"no {', '.join(name for name, _ in labels)}"


def behind(frame: TableFrame) -> Iterator[tuple[dict[Any, Any], tuple[Result, ...]]]:
    """Each row that has results, with them."""
    of = {result.key: result for result in frame.results}
    for row in frame.rows.to_dict("records"):
        if row["keys"]:
            yield row, tuple(of[key] for key in row["keys"])


def replicate(result: Result) -> str:
    """The seeds of a replicate in words."""
    return f"split seed {result.identity['split_seed']}, seed {result.identity['seed']}"
