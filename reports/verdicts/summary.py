"""What is said of the paper beside the tables: verdicts, claims, rank agreement, and how worn the test splits are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocol.paper_runs import DATASET_TABLES
from benchmarks.protocol.setting import Setting
from benchmarks.results.test_set_log import Ledger, read_ledger
from reports.select.results import Collection, Source
from reports.select.settings import PAPER_SETTING, order, settings
from reports.verdicts.claims import ClaimVerdict, claim_verdicts
from reports.verdicts.paired import Key, Paired, compare
from reports.verdicts.rank_agreement import RankAgreement, rank_agreement
from reports.verdicts.rule import VerdictSet, judge


@dataclass(frozen=True, eq=False)
class VerdictsWithRanks:
    """One owner's results under one setting: verdicts, comparisons and orders."""

    judgement: VerdictSet
    paired: Mapping[Key, Paired]
    ranks: tuple[RankAgreement, ...]


@dataclass(frozen=True, eq=False)
class VerdictSummary:
    """`claims` by owner of the results. `unrecorded` counts results of the user's that the ledger does not know."""

    judged: tuple[VerdictsWithRanks, ...]  # the paper's setting first
    claims: Mapping[Source, tuple[ClaimVerdict, ...]]
    ledger: Ledger
    unrecorded: int


def find(collection: Collection, home: Path) -> VerdictSummary:
    """Everything, from stored results alone."""
    tables = tuple(DATASET_TABLES.values())
    found = {one for table in tables for one in settings(collection, table, tables) if one.dataset is None}
    judged = [
        VerdictsWithRanks(judgement, compare(judgement), rank_agreement(judgement))
        for setting in sorted({PAPER_SETTING, *found}, key=order)
        for judgement in judge(collection, setting)
    ]
    claims: dict[Source, tuple[ClaimVerdict, ...]] = {}
    for source in dict.fromkeys(one.judgement.source for one in judged):
        plain = {
            one.judgement.setting.profile: (one.judgement, one.paired)
            for one in judged
            if one.judgement.source == source and one.judgement.setting == Setting(one.judgement.setting.profile)
        }
        claims[source] = claim_verdicts(plain)
    ledger = read_ledger(home)
    known = {use.key for use in ledger.uses}
    unrecorded = sum(item.source == "own" and item.result.key not in known for item in collection.stored)
    return VerdictSummary(tuple(judged), claims, ledger, unrecorded)
