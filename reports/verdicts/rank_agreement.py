"""Compare the order in which our tables and the paper's put the systems."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.protocol.tables import TABLES
from reports.statistics.replicates import kendall
from reports.verdicts.rule import VerdictSet

FEWEST_SYSTEMS = 3
"""Systems below which an order says nothing."""


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau between our Dice and the paper's in one table: 1 the same order, 0 no relation, -1 the reverse."""

    table: str
    tau: float
    systems: int  # compared: those with a score of ours
    rows: int


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
