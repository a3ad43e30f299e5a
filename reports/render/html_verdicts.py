"""Prepare verdicts for the HTML page: badges, and differences from the paper drawn beside ±T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.figures.axes import Axis, linear
from reports.formatting import gathered
from reports.render.html_table import Badge, BadgeShape
from reports.verdicts.claims import ClaimVerdict
from reports.verdicts.rule import Verdict, VerdictSet
from reports.verdicts.summary import VerdictSummary
from reports.verdicts.wording import short_answer, verdicts_by_dataset

SHAPES: Mapping[str, BadgeShape] = {
    "reproduced": "circle", "higher": "up", "lower": "down", "undecided": "diamond", "difference only": "ring",
    "not comparable": "dash", "not run": "dash",
    "supported": "circle", "contradicted": "cross", "not tested": "dash",
    "holds": "circle", "does not hold": "cross", "cannot be told": "diamond",
}  # fmt: skip
"""Shapes by a verdict's word. They differ, so that no meaning depends on colour."""

WIDTH = 200
"""Pixels of a drawn difference."""


@dataclass(frozen=True)
class Gap:
    """Verdict with its difference from the paper and its ±T in pixels; None where there is no such number."""

    verdict: Verdict
    badge: Badge
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Gaps:
    """Verdicts on a data set, drawn on one scale."""

    axis: Axis
    zero: float
    rows: tuple[Gap, ...]
    grounds: tuple[tuple[str, tuple[str, ...]], ...]  # why verdicts are open, with the names of their runs


def verdict_badge(verdict: Verdict) -> Badge:
    """Return the short word, with the reason or the whole sentence on demand."""
    word = f"reproduced ±{verdict.tolerance:.3f}" if verdict.word == "reproduced" else verdict.word
    return Badge(word, SHAPES[verdict.word], verdict.why or verdict.text)


def badges(summary: VerdictSummary) -> dict[frozenset[str], Badge]:
    """Return a badge for every run with results, by their keys."""
    return {
        frozenset(verdict.keys): verdict_badge(verdict)
        for ranked in summary.ranked
        for verdict in ranked.verdict_set.verdicts
        if verdict.keys
    }


def claim_badges(claim: ClaimVerdict) -> tuple[Badge, Badge]:
    """Return the answer of the paper's own tables, and of the runs."""
    answer = short_answer(claim)
    return (
        Badge(claim.paper.word, SHAPES[claim.paper.word]),
        Badge(answer, SHAPES[claim.word] if answer == claim.word else "ring", claim.why),
    )


def gaps(verdict_set: VerdictSet) -> dict[str, Gaps]:
    """Return the verdicts on every data set of which something was run, ready to be drawn."""
    tables = {}
    for dataset, verdicts in verdicts_by_dataset(verdict_set).items():
        differences = [verdict.difference for verdict in verdicts if verdict.difference is not None]
        tolerances = [verdict.tolerance for verdict in verdicts if verdict.tolerance is not None]
        limits = [sign * tolerance for tolerance in tolerances for sign in (-1, 1)]
        axis = linear([0.0, *differences, *limits], 6, WIDTH - 6, 4)
        rows = tuple(_gap(verdict, axis) for verdict in verdicts)
        tables[dataset] = Gaps(axis, axis.at(0.0), rows, _grounds(verdicts))
    return tables


def _grounds(verdicts: Sequence[Verdict]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = gathered((f"{verdict.word}: {verdict.why}", verdict.run.name) for verdict in verdicts if verdict.why)
    return tuple((ground, tuple(runs)) for ground, runs in names.items())


def _gap(verdict: Verdict, axis: Axis) -> Gap:
    tolerance = verdict.tolerance
    return Gap(
        verdict=verdict,
        badge=verdict_badge(verdict),
        at=axis.at_known(verdict.difference),
        low=None if tolerance is None else axis.at(-tolerance),
        high=axis.at_known(tolerance),
    )
