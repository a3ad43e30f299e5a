"""Declare a comparison that is not in the paper: its rows, data sets and recipe, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmarks.protocol.tables import Row, Table


@dataclass(frozen=True)
class Question:
    """Whether Dice of the row `better` is above that of the row `worse`, asked on every data set of a study."""

    id: str
    asks: str
    better: str
    worse: str


@dataclass(frozen=True)
class Study:
    """Rows on several data sets, under `profile` unless another is named, and the questions about them.

    It is never run under the paper's recipe. A profile that claims nothing runs it on its first data set alone.
    """

    id: str
    title: str
    datasets: tuple[str, ...]
    rows: tuple[Row, ...]
    questions: tuple[Question, ...]
    profile: str = "fair"

    def __post_init__(self) -> None:
        labels = [row.labels[0] for row in self.rows]
        if printed := [row.labels[0] for row in self.rows if row.paper]:
            raise ValueError(f"{self.id}: rows with numbers of the paper, which has no such table: {printed}")
        for question in self.questions:
            if missing := {question.better, question.worse} - set(labels):
                raise ValueError(f"{self.id}: question {question.id} is about {missing}, found the rows {labels}")

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Return a table for each data set, so that settings and results are found by the rules of tables."""
        return {
            dataset: Table(
                id=f"{self.id}-{dataset}",
                title=self.title,
                dataset=dataset,
                label_columns=("System",),
                scores=("dice",),
                rows=self.rows,
                study=self.id,
                profile=self.profile,
            )
            for dataset in self.datasets
        }
