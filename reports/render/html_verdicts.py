"""Verdicts as the page draws them: chips, and how far each number lies from the paper's beside what luck allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.figures.axes import Axis, linear
from reports.render.html_table import Badge, Shape
from reports.verdicts.claims import ClaimVerdict
from reports.verdicts.rule import Verdict, VerdictSet
from reports.verdicts.summary import VerdictSummary
from reports.verdicts.wording import short_answer

SHAPES: Mapping[str, Shape] = {
    "reproduced": "circle", "higher": "up", "lower": "down", "undecided": "diamond", "one run": "ring",
    "not comparable": "dash", "not run": "dash",
    "supported": "circle", "contradicted": "cross", "not tested": "dash",
    "holds": "circle", "does not hold": "cross", "cannot be told": "diamond",
}  # fmt: skip
"""By a verdict's word. Shapes differ, so that no meaning hangs on colour."""

WIDTH = 200
"""Pixels of a drawn difference."""


@dataclass(frozen=True)
class Gap:
    """A verdict with its difference from the paper and its ±T in pixels; None where there is no such number."""

    verdict: Verdict
    badge: Badge
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Gaps:
    """All verdicts on one data set, on one scale."""

    axis: Axis
    zero: float
    rows: tuple[Gap, ...]
    grounds: tuple[tuple[str, tuple[str, ...]], ...]  # why a verdict is open, and the runs it is said of


def verdict_badge(verdict: Verdict) -> Badge:
    """The short word, with the ground or the whole sentence on demand."""
    word = f"reproduced ±{verdict.tolerance:.3f}" if verdict.word == "reproduced" else verdict.word
    return Badge(word, SHAPES[verdict.word], verdict.why or verdict.text)


def badges(findings: VerdictSummary) -> dict[frozenset[str], Badge]:
    """A chip for every run with results, by their keys."""
    return {
        frozenset(verdict.keys): verdict_badge(verdict)
        for judged in findings.judged
        for verdict in judged.judgement.verdicts
        if verdict.keys
    }


def claim_badges(claim: ClaimVerdict) -> tuple[Badge, Badge]:
    """The answer of the paper's own tables, and that of the runs."""
    answer = short_answer(claim)
    return (
        Badge(claim.paper.word, SHAPES[claim.paper.word]),
        Badge(answer, SHAPES[claim.word] if answer == claim.word else "ring", claim.why),
    )


def gaps(judgement: VerdictSet) -> dict[str, Gaps]:
    """By data set, of which something was run."""
    found = {}
    for dataset in judgement.sections:
        verdicts = [one for one in judgement.verdicts if one.run.dataset == dataset]
        apart = [one.difference for one in verdicts if one.difference is not None]
        limits = [limit for one in verdicts if one.tolerance is not None for limit in (-one.tolerance, one.tolerance)]
        axis = linear([0.0, *apart, *limits], 6, WIDTH - 6, 4)
        found[dataset] = Gaps(axis, axis.at(0.0), tuple(_gap(one, axis) for one in verdicts), _grounds(verdicts))
    return found


def _grounds(verdicts: Sequence[Verdict]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names: dict[str, list[str]] = {}
    for one in verdicts:
        if one.why:
            names.setdefault(f"{one.word}: {one.why}", []).append(one.run.name)
    return tuple((ground, tuple(of)) for ground, of in names.items())


def _gap(verdict: Verdict, axis: Axis) -> Gap:
    limit, apart = verdict.tolerance, verdict.difference
    return Gap(
        verdict=verdict,
        badge=verdict_badge(verdict),
        at=None if apart is None else axis.at(apart),
        low=None if limit is None else axis.at(-limit),
        high=None if limit is None else axis.at(limit),
    )
