"""Does each number of the paper reproduce? One verdict a run, on Dice, by the same rule for all.

A replicate is a pair of split seed and seed. The spread of replicates about their own mean is pooled over the systems
on a data set. From it follows T: how far a mean may lie from the paper's single run by the luck of split and training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.protocol.paper_runs import DATASET_TABLES, PAPER_RUNS, PaperRun
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Row, Table
from reports.select.comparable import ResultGroup, ResultGroupRow, comparable_groups
from reports.select.not_comparable import row_reasons, section_reasons
from reports.select.results import Collection, Source
from reports.select.settings import declare
from reports.statistics.replicates import LEVEL, Spread, pooled_spread, tolerance

CAPS: Mapping[str, float] = {"deepglobe": 0.020, "whu": 0.010, "whdld": 0.010}
"""T above which agreement would say little: a run is then undecided."""

FEWEST_DF = 8
"""Degrees of freedom below which a spread is not known well enough."""

Word = Literal["reproduced", "higher", "lower", "undecided", "one run", "not comparable", "not run"]

WORDS: Mapping[Word, str] = {
    "reproduced": "reproduced to ±{t:.3f}",
    "higher": "higher",
    "lower": "lower",
    "undecided": "undecided",
    "one run": "one run: difference only",
    "not comparable": "not comparable",
    "not run": "not run",
}


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of one number of the paper. `why` is the ground of an open verdict, `keys` the results behind it."""

    run: PaperRun
    word: Word
    why: str = ""
    mean: float | None = None  # Dice, 0..1
    tolerance: float | None = None
    replicates: int = 0
    keys: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The verdict as readers see it."""
        return WORDS[self.word].format(t=self.tolerance)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's; None without ours."""
        return None if self.mean is None else self.mean - self.run.printed["dice"]


@dataclass(frozen=True, eq=False)
class VerdictSet:
    """All verdicts on one owner's results under one setting, with the spread of each data set and what it rests on."""

    setting: Setting
    source: Source
    verdicts: tuple[Verdict, ...]
    spreads: Mapping[str, Spread]
    sections: Mapping[str, ResultGroup]  # by data set, those with results
    passed_over: tuple[str, ...] = ()  # sentences on results that were not judged

    def of(self, row: Row, dataset: str) -> Verdict | None:
        """The verdict on a row of any table of that data set; None for a control, of which the paper prints nothing."""
        found = (one for one in self.verdicts if (one.run.model, one.run.dataset) == (row.model, dataset))
        return next(found, None)

    @property
    def decided(self) -> tuple[Verdict, ...]:
        """Verdicts that say yes or no."""
        return tuple(one for one in self.verdicts if one.word in ("reproduced", "higher", "lower"))

    @property
    def outside(self) -> tuple[Verdict, ...]:
        """Those that say no."""
        return tuple(one for one in self.decided if one.word != "reproduced")

    @property
    def expected_outside(self) -> float:
        """How many would lie outside by chance if every decided number were a true replication."""
        return (1 - LEVEL) * len(self.decided)


def judge(collection: Collection, setting: Setting) -> list[VerdictSet]:
    """One judgement for each owner of results under the setting, the user's first; one of "not run" if none has any."""
    by_owner: dict[Source, dict[str, list[ResultGroup]]] = {}
    for dataset, table in DATASET_TABLES.items():
        for section in comparable_groups(_runnable(table, setting), collection, setting):
            if section.results:
                by_owner.setdefault(section.source, defaultdict(list))[dataset].append(section)
    owners: Sequence[Source] = sorted(by_owner) or ["own"]
    return [_judgement(setting, owner, by_owner.get(owner, {})) for owner in owners]


def _runnable(table: Table, setting: Setting) -> Table:
    """The table without rows that the setting makes the same run as a row before: one encoder for two sizes."""
    rows: dict[Run | tuple[str, ...], Row] = {}
    for row in table.rows:
        rows.setdefault(declare(setting, table, row) or row.labels, row)
    return replace(table, rows=tuple(rows.values()))


def _judgement(setting: Setting, source: Source, found: Mapping[str, Sequence[ResultGroup]]) -> VerdictSet:
    chosen: dict[str, ResultGroup] = {}
    passed_over = []
    for dataset, each in found.items():
        # Sections differ in data or precision. The one that can say most is judged: comparable, then larger.
        first, *rest = sorted(each, key=lambda section: (len(section_reasons(section)), -len(section.results)))
        chosen[dataset] = first
        for section in rest:
            result = section.results[0]
            passed_over.append(
                f"{len(section.results)} results on {dataset} with other data or precision ({result.data['describe']}, "
                f"{result.identity['precision']}) stand in the tables and are not judged here"
            )
    spreads = {dataset: pooled_spread(_groups(section)) for dataset, section in chosen.items()}
    verdicts = tuple(_verdict(run, chosen.get(run.dataset), spreads.get(run.dataset)) for run in PAPER_RUNS)
    return VerdictSet(setting, source, verdicts, spreads, chosen, tuple(passed_over))


def find_row(section: ResultGroup | None, name: str) -> ResultGroupRow | None:
    """The row of a run by its name, if it has results."""
    filled = section.filled if section else ()
    return next((row for row in filled if row.row.labels == (name,)), None)


def _groups(section: ResultGroup) -> list[list[float]]:
    """Dice of the replicates of every row that can be compared with the paper."""
    return [[result.scores.dice for result in row.results] for row in section.filled if not row_reasons(section, row)]


def _verdict(run: PaperRun, section: ResultGroup | None, spread: Spread | None) -> Verdict:
    row = find_row(section, run.name)
    if section is None or spread is None or row is None:
        return Verdict(run, "not run")
    count, keys = len(row.results), tuple(result.key for result in row.results)
    reasons = row_reasons(section, row)
    mean = None if row.collapsed else float(np.mean([result.scores.dice for result in row.results]))
    if reasons:
        return Verdict(run, "not comparable", "; ".join(reasons), mean, None, count, keys)
    if count == 1:
        return Verdict(run, "one run", "", mean, None, count, keys)
    if spread.df < FEWEST_DF:
        why = f"{spread.df} degrees of freedom are too few to know the spread of replicates, {FEWEST_DF} are needed"
        return Verdict(run, "undecided", why, mean, None, count, keys)
    limit, cap = tolerance(spread, count), CAPS[run.dataset]
    if limit > cap:
        why = f"replicates differ too much: ±{limit:.3f}, where more than ±{cap:.3f} would say little"
        return Verdict(run, "undecided", why, mean, limit, count, keys)
    assert mean is not None
    difference = mean - run.printed["dice"]
    word: Word = "reproduced" if abs(difference) <= limit else "higher" if difference > 0 else "lower"
    return Verdict(run, word, "", mean, limit, count, keys)
