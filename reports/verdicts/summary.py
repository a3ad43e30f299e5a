"""Collect all verdicts, claims and rank agreements of a report, and how often each test split was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocol.paper_runs import DATASET_TABLES
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.test_set_log import Ledger, read_ledger
from reports.select.results import Collection, ResultSource
from reports.select.settings import PAPER_SETTING, setting_order, settings
from reports.statistics.replicates import kendall
from reports.verdicts.claims import ClaimVerdict, claim_verdicts
from reports.verdicts.paired import PairedByKey, compare
from reports.verdicts.rule import VerdictSet, judge

FEWEST_SYSTEMS = 3
"""Systems below which an order says nothing."""


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau between our Dice and the paper's in one table: 1 the same order, 0 no relation, -1 the reverse."""

    table: str
    tau: float
    systems: int  # compared: those with a score of ours
    rows: int


@dataclass(frozen=True, eq=False)
class VerdictsWithRanks:
    """Results of an owner under a setting: verdicts, comparisons, and the order of the systems."""

    verdict_set: VerdictSet
    paired: PairedByKey
    ranks: tuple[RankAgreement, ...]


@dataclass(frozen=True, eq=False)
class VerdictSummary:
    """`claims` by owner of the results. `unrecorded` counts results of the user's that the ledger does not know."""

    ranked: tuple[VerdictsWithRanks, ...]  # the paper's setting first
    claims: Mapping[ResultSource, tuple[ClaimVerdict, ...]]
    ledger: Ledger
    unrecorded: int


def summarize(collection: Collection, home: Path) -> VerdictSummary:
    """Return every verdict from stored results alone."""
    tables = tuple(DATASET_TABLES.values())
    used = {setting for table in tables for setting in settings(collection, table, tables) if setting.dataset is None}
    ranked = [
        VerdictsWithRanks(verdict_set, compare(verdict_set), rank_agreement(verdict_set))
        for setting in sorted({PAPER_SETTING, *used}, key=setting_order)
        for verdict_set in judge(collection, setting)
    ]
    by_owner: dict[ResultSource, dict[str, tuple[VerdictSet, PairedByKey]]] = {}
    for verdicts in ranked:
        verdict_set = verdicts.verdict_set
        by_profile = by_owner.setdefault(verdict_set.source, {})
        if verdict_set.setting == Setting(verdict_set.setting.profile):
            by_profile[verdict_set.setting.profile] = verdict_set, verdicts.paired
    claims = {source: claim_verdicts(by_profile) for source, by_profile in by_owner.items()}
    ledger = read_ledger(home)
    known = {use.key for use in ledger.uses}
    unrecorded = sum(stored.source == "own" and stored.result.key not in known for stored in collection.stored)
    return VerdictSummary(tuple(ranked), claims, ledger, unrecorded)


def rank_agreement(verdict_set: VerdictSet) -> tuple[RankAgreement, ...]:
    """Return the agreement of every table with Dice of three systems or more of ours."""
    agreements = []
    for table in TABLES.values():
        verdicts = [verdict for verdict in verdict_set.verdicts if table.id in verdict.run.tables]
        scored = [(verdict.mean, verdict.run.printed["dice"]) for verdict in verdicts if verdict.mean is not None]
        if "dice" not in table.scores or len(scored) < FEWEST_SYSTEMS:
            continue
        ours, paper = zip(*scored, strict=True)
        agreements.append(RankAgreement(table.id, kendall(ours, paper), len(scored), len(table.rows)))
    return tuple(agreements)
