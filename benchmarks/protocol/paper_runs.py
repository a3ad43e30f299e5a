"""List the distinct runs behind the rows of the paper's tables: 55 rows are 39 runs, 17 of them on DeepGlobe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.protocol.tables import TABLES, Row, Table
from rssam.contract import Model


@dataclass(frozen=True)
class PaperRun:
    """Run of the paper: its name (unique on its data set), every table it stands in, what was printed of it."""

    name: str
    model: Model
    dataset: str
    tables: tuple[str, ...]
    printed: Mapping[str, float]  # dice and jaccard, 0..1


def _name(table: Table, row: Row) -> str:
    """Return the row's label; of a row of switches, those that are on."""
    if len(row.labels) == 1:
        return row.labels[0]
    return " + ".join(column for column, label in zip(table.label_columns, row.labels, strict=True) if label == "yes")


def _paper_runs() -> tuple[PaperRun, ...]:
    rows_of_runs: dict[tuple[str, Model], list[tuple[Table, Row]]] = {}
    for table in TABLES.values():
        for row in table.rows:
            rows_of_runs.setdefault((table.dataset, row.model), []).append((table, row))
    runs = []
    for (dataset, model), rows in rows_of_runs.items():
        printed_scores = next(row.paper for table, row in rows if "dice" in table.scores)
        printed = {score: printed_scores[score] for score in ("dice", "jaccard")}
        runs.append(PaperRun(_name(*rows[0]), model, dataset, tuple(table.id for table, _ in rows), printed))
    return tuple(runs)


PAPER_RUNS: tuple[PaperRun, ...] = _paper_runs()
"""Each run once, in the order of the tables."""


def _of_dataset(dataset: str) -> Table:
    """Return all runs on a data set as a table, so that results are chosen for all of them alike."""
    runs = [run for run in PAPER_RUNS if run.dataset == dataset]
    return Table(
        id=dataset,
        title=f"All runs on {dataset}",
        dataset=dataset,
        label_columns=("Run",),
        scores=("dice", "jaccard"),
        rows=tuple(Row((run.name,), run.model, run.printed) for run in runs),
    )


DATASET_TABLES: dict[str, Table] = {
    dataset: _of_dataset(dataset) for dataset in dict.fromkeys(run.dataset for run in PAPER_RUNS)
}
"""The runs by data set, as tables. They are none of the paper's, and no item that can be asked for."""
