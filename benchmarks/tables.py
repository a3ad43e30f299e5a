"""The paper's tables as declarations: which run stands in which row, and what the paper printed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.paper import PAPER_TABLES
from benchmarks.zoo import SamLora
from rssam.config import RSSAM
from rssam.contract import Model, UnknownName


@dataclass(frozen=True)
class Row:
    """One row: what is printed at its left, the system, and the paper's numbers by column."""

    labels: tuple[str, ...]
    model: Model
    paper: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """One table of the paper. `scores` are the columns to regenerate, named as in `counts.Scores`."""

    id: str
    title: str
    dataset: str
    label_columns: tuple[str, ...]
    scores: tuple[str, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.labels) != len(self.label_columns):
                raise ValueError(f"{self.id}: row {row.labels} does not fit the columns {self.label_columns}")
            if set(row.paper) != set(self.scores):
                raise ValueError(f"{self.id}: row {row.labels} lacks the paper's numbers for {self.scores}")
        if len({row.model for row in self.rows}) != len(self.rows):
            raise ValueError(f"{self.id}: two rows declare the same run")


def _row(table: str, labels: tuple[str, ...], model: Model) -> Row:
    """A row whose paper numbers stand in `benchmarks.paper` under the same labels."""
    return Row(labels, model, PAPER_TABLES[table][labels])


TABLE5 = Table(
    id="table5",
    title="Performance comparison of different modules on the DeepGlobe data set",
    dataset="deepglobe",
    label_columns=("Multi-scale Neck", "MFF", "MHFF"),
    scores=("dice", "jaccard"),
    rows=(
        _row("table5", ("no", "no", "no"), SamLora()),
        _row("table5", ("yes", "no", "no"), RSSAM(mff=False, mhff=False)),
        _row("table5", ("yes", "yes", "no"), RSSAM(mff=True, mhff=False)),
        _row("table5", ("yes", "no", "yes"), RSSAM(mff=False, mhff=True)),
        _row("table5", ("yes", "yes", "yes"), RSSAM()),
    ),
)

TABLES: dict[str, Table] = {table.id: table for table in (TABLE5,)}


def find_tables(items: list[str]) -> list[Table]:
    """The tables of those names, in the given order without repeats; "all" is every table.

    Raises UnknownName listing the choices.
    """
    names = [name for item in items for name in (TABLES if item == "all" else (item,))]
    for name in names:
        if name not in TABLES:
            raise UnknownName(f"unknown item {name!r}: choose from {', '.join((*TABLES, 'all'))}")
    return [TABLES[name] for name in dict.fromkeys(names)]
