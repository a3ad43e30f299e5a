"""Answer the questions of a study by the rule of the paper's claims: paired differences on the same replicates."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.protocol.claims import Comparison
from benchmarks.protocol.studies.study import Question, Study
from reports.select.comparable import ResultGroup
from reports.select.not_comparable import row_reasons
from reports.verdicts.paired import PairedComparison, tested
from reports.verdicts.rule import find_row

ANSWERS = {"supported": "yes", "contradicted": "no, lower", "undecided": "undecided", "not tested": "not compared"}
"""Answers by the word of a comparison."""

Answer = tuple[Question, PairedComparison]


def answers(study: Study, groups: Mapping[str, ResultGroup]) -> list[Answer]:
    """Return the answer to every question on every data set; the questions of a data set are one family of tests."""
    asked = [
        (question, Comparison(dataset, question.better, question.worse))
        for question in study.questions
        for dataset in study.datasets
    ]
    why = {comparison: _incomparable(comparison, groups.get(comparison.dataset)) for _, comparison in asked}
    found = tested(
        [(comparison, "dice") for comparison in why if not why[comparison]],
        groups,
        lambda comparison, score: (comparison.dataset, score),  # a data set is one family
    )
    return [
        (
            question,
            found.get((comparison, "dice")) or PairedComparison(comparison, "dice", "not tested", why[comparison], ()),
        )
        for question, comparison in asked
    ]


def _incomparable(comparison: Comparison, group: ResultGroup | None) -> str:
    """Return why the runs are not those that the question is about, although they have a score."""
    rows = (find_row(group, name) for name in (comparison.better, comparison.worse))
    reasons = [
        reason
        for row in rows
        if group is not None and row is not None and row.state == "done"
        for reason in row_reasons(group, row, any_recipe=True)
    ]
    return "; ".join(dict.fromkeys(reasons))
