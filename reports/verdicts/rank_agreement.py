"""Do our tables put the systems in the paper's order?"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.protocol.tables import TABLES
from reports.statistics.replicates import kendall
from reports.verdicts.rule import VerdictSet

FEWEST = 3
"""Systems below which an order says nothing."""


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau between our Dice and the paper's in one table: 1 the same order, 0 no relation, -1 the reverse."""

    table: str
    tau: float
    systems: int  # compared: those with a score of ours
    rows: int


def rank_agreement(judgement: VerdictSet) -> tuple[RankAgreement, ...]:
    """Of every table with Dice of three systems or more of ours."""
    found = []
    for table in TABLES.values():
        verdicts = [one for one in judgement.verdicts if table.id in one.run.tables]
        both = [(one.mean, one.run.printed["dice"]) for one in verdicts if one.mean is not None]
        if "dice" not in table.scores or len(both) < FEWEST:
            continue
        ours, paper = zip(*both, strict=True)
        found.append(RankAgreement(table.id, kendall(ours, paper), len(both), len(table.rows)))
    return tuple(found)
