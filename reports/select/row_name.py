"""Name a row of a group of results in words."""

from __future__ import annotations

from reports.select.comparable import ResultGroup, ResultGroupRow
from rssam.escape import in_prose


def row_name(group: ResultGroup, row: ResultGroupRow) -> str:
    """Return a row in prose: its only label, or its labels with their columns."""
    labels = [*map(in_prose, row.row.labels)]
    if len(labels) == 1:
        return labels[0]
    return ", ".join(f"{column} {label}" for column, label in zip(group.table.label_columns, labels, strict=True))
