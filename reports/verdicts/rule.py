"""Decide for each run of the paper whether its Dice reproduces, by one rule for all runs.

A replicate is a pair of split seed and seed. T follows from the spread of a run's own replicates. It is how far their
mean may lie from the paper's single run by the luck of split and training. A spread pooled over systems would be too
small for an unsteady one. Splits are shared by all systems, so all together may be off at once: `Shift` says by how
much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.protocol.claims import REPLICATES
from benchmarks.protocol.paper_runs import DATASET_TABLES, PAPER_RUNS, PaperRun
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Row, Table
from reports.formatting import plural
from reports.select.comparable import ResultGroup, ResultGroupRow, RowState, replicate_identity
from reports.select.not_comparable import row_reasons
from reports.select.owners import ChosenGroups, chosen_by_owner
from reports.select.results import Collection, ResultSource
from reports.select.settings import declare
from reports.statistics.replicates import alike, mean_dice, single_run_reach, tolerance
from rssam.config import NOT_THE_PRINTED_MODEL

CAPS: Mapping[str, float] = {"deepglobe": 0.020, "whu": 0.010, "whdld": 0.010}
"""T above which agreement would say little: a run is then undecided."""

FEWEST_REPLICATES = REPLICATES
"""Replicates below which there is no verdict, and no test of a claim: their spread is not known well enough."""

EQUAL_REPLICATES = "the replicates are equal to the last pixel, so they show no spread"
"""Why there is no verdict, joint shift or test on replicates that do not differ at all."""

VerdictWord = Literal["reproduced", "higher", "lower", "undecided", "difference only", "not comparable", "not run"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """Verdict on a number of the paper: `why` it is open, if it is, and the `keys` of the results behind it."""

    run: PaperRun
    word: VerdictWord
    why: str = ""
    mean: float | None = None  # Dice, 0..1
    tolerance: float | None = None
    replicates: int = 0
    keys: tuple[str, ...] = ()
    state: RowState = "not run"  # of the row behind it

    @property
    def text(self) -> str:
        """Return the verdict as readers see it; it says where the run is not of the printed model."""
        text = f"reproduced to ±{self.tolerance:.3f}" if self.word == "reproduced" else self.word
        printed = getattr(self.run.model, "chain", "printed") == "printed" or self.word == "not run"
        return text if printed else f"{text}, {NOT_THE_PRINTED_MODEL}"

    @property
    def difference(self) -> float | None:
        """Return ours less the paper's; None without ours, and where it is not comparable."""
        return None if self.mean is None or self.word == "not comparable" else self.mean - self.run.printed["dice"]


@dataclass(frozen=True)
class Shift:
    """Shift of all comparable runs on a data set: their mean difference from the paper, over replicates; NaN where
    `why`.

    Its interval is that of a single replicate of them all, as the paper's numbers are. It may hold a common cause, such
    as a split that all share, which verdicts one by one do not show.
    """

    mean: float
    low: float
    high: float
    runs: int
    replicates: int
    why: str = ""


@dataclass(frozen=True, eq=False)
class VerdictSet:
    """Verdicts on an owner's results under a setting, with the joint shift and results by data set."""

    setting: Setting
    source: ResultSource
    verdicts: tuple[Verdict, ...]
    shifts: Mapping[str, Shift]
    groups: Mapping[str, ResultGroup]  # by data set, those with results
    passed_over: tuple[str, ...] = ()  # sentences on results without a verdict

    @property
    def decided(self) -> tuple[Verdict, ...]:
        """Return the verdicts that say yes or no."""
        return tuple(verdict for verdict in self.verdicts if verdict.word in ("reproduced", "higher", "lower"))

    @property
    def outside(self) -> tuple[Verdict, ...]:
        """Return the verdicts that say no."""
        return tuple(verdict for verdict in self.decided if verdict.word != "reproduced")


def judge(collection: Collection, setting: Setting) -> list[VerdictSet]:
    """Return the verdicts on each owner's results under a setting, the user's first; all "not run" without results."""
    tables = {dataset: _runnable(table, setting) for dataset, table in DATASET_TABLES.items()}
    by_owner = chosen_by_owner(tables, collection, setting) or {"own": ChosenGroups({}, ())}
    return [_verdict_set(setting, owner, chosen) for owner, chosen in by_owner.items()]


def _runnable(table: Table, setting: Setting) -> Table:
    """Return the table without rows that the setting makes the same run as a row before: one encoder for two sizes."""
    rows: dict[Run | tuple[str, ...], Row] = {}
    for row in table.rows:
        rows.setdefault(declare(setting, table, row) or row.labels, row)
    return replace(table, rows=tuple(rows.values()))


def _verdict_set(setting: Setting, source: ResultSource, chosen: ChosenGroups) -> VerdictSet:
    verdicts = tuple(_verdict(run, chosen.groups.get(run.dataset)) for run in PAPER_RUNS)
    shifts = {dataset: _shift(dataset, group) for dataset, group in chosen.groups.items()}
    passed_over = tuple(f"{results} stand in the tables and are not judged here" for results in chosen.passed_over)
    return VerdictSet(setting, source, verdicts, shifts, chosen.groups, passed_over)


def find_row(group: ResultGroup | None, name: str) -> ResultGroupRow | None:
    """Return the row of a run by its name; None if it was not run. Its runs may all have failed."""
    tried = group.tried if group else ()
    return next((row for row in tried if row.row.labels == (name,)), None)


def _shift(dataset: str, group: ResultGroup) -> Shift:
    """Return the joint shift of the runs that have a spread, over the replicates that all of them have."""
    differences = []  # of each run, by replicate
    for run in PAPER_RUNS:
        row = find_row(group, run.name) if run.dataset == dataset else None
        if row is None or len(row.results) < FEWEST_REPLICATES or row_reasons(group, row):
            continue
        paper = run.printed["dice"]
        if not alike([result.scores.dice for result in row.results]):
            differences.append({replicate_identity(result): result.scores.dice - paper for result in row.results})
    first = differences[0] if differences else {}
    shared = [replicate for replicate in first if all(replicate in one for one in differences)]
    runs, count = len(differences), len(shared)
    if runs < 2 or count < FEWEST_REPLICATES:
        why = f"it takes two comparable runs with {FEWEST_REPLICATES} replicates in common that differ"
        return Shift(math.nan, math.nan, math.nan, runs, count, why)
    by_replicate = [float(np.mean([one[replicate] for one in differences])) for replicate in shared]
    if alike(by_replicate):
        return Shift(math.nan, math.nan, math.nan, runs, count, "the means of its replicates are equal")
    mean, reach = float(np.mean(by_replicate)), single_run_reach(by_replicate)
    return Shift(mean, mean - reach, mean + reach, runs, count)


def _verdict(run: PaperRun, group: ResultGroup | None) -> Verdict:
    row = find_row(group, run.name)
    if group is None or row is None:
        return Verdict(run, "not run")
    count, keys = len(row.results), tuple(result.key for result in row.results)
    reasons = row_reasons(group, row)
    mean = mean_dice(row.results) if row.state == "done" else None
    if reasons:
        return Verdict(run, "not comparable", "; ".join(reasons), mean, None, count, keys, row.state)
    if count < FEWEST_REPLICATES:
        why = f"{count} {plural(count, 'replicate')}, where a verdict takes {FEWEST_REPLICATES}"
        return Verdict(run, "difference only", why, mean, None, count, keys, row.state)
    dices = [result.scores.dice for result in row.results]
    if alike(dices):
        return Verdict(run, "difference only", EQUAL_REPLICATES, mean, None, count, keys, row.state)
    limit, cap = tolerance(dices), CAPS[run.dataset]
    if limit > cap:
        why = f"replicates differ too much: ±{limit:.3f}, where more than ±{cap:.3f} would say little"
        return Verdict(run, "undecided", why, mean, limit, count, keys, row.state)
    assert mean is not None
    difference = mean - run.printed["dice"]
    word: VerdictWord = "reproduced" if abs(difference) <= limit else "higher" if difference > 0 else "lower"
    return Verdict(run, word, "", mean, limit, count, keys, row.state)
