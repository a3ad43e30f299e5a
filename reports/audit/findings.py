"""Define findings, and printed numbers that may be off by half their last digit, for every question of the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.protocol.paper_numbers import RowLabels

PaperTables = Mapping[str, Mapping[RowLabels, Mapping[str, float]]]
Bounds = tuple[float, float]

HALF = 0.0005
"""A printed score may be off by half its last digit."""


@dataclass(frozen=True)
class AuditFinding:
    """Answer of the paper's numbers to a question."""

    id: str
    verdict: Literal["holds", "broken", "recovered"]  # recovered: a convention the paper does not state
    finding: str
    evidence: tuple[str, ...]
    consequence: str


def rows(tables: PaperTables, names: tuple[str, ...]) -> Iterator[tuple[str, RowLabels, Mapping[str, float]]]:
    """Yield table, labels and printed numbers of every row of the tables named."""
    for name in names:
        for labels, row in tables[name].items():
            yield name, labels, row


def around(value: float) -> tuple[float, float, float]:
    """Return a printed number between the ends of what may have been rounded to it."""
    return value - HALF, value, value + HALF


def within_rounding(printed: float, possible: Sequence[float]) -> bool:
    """Return whether a number in the range of `possible` is printed so."""
    return printed - HALF <= max(possible) and min(possible) <= printed + HALF


def row_name(table: str, labels: RowLabels) -> str:
    """Return a row in words."""
    return f"Table {table[-1]}, {', '.join(labels)}"
