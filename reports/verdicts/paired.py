"""Compare two systems on the replicates that both have: paired differences, families of tests, new imagery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.protocol.claims import CLAIMS, Comparison, ScoreName
from benchmarks.protocol.tables import SYSTEMS
from benchmarks.results.result import Result
from reports.formatting import gathered, plural
from reports.select.comparable import ResultGroup, ResultGroupRow, RowState, replicate_identity
from reports.statistics.replicates import LEVEL, Contrast, alike, contrast, holm
from reports.statistics.units import Interval, interval, number_units
from reports.verdicts.rule import EQUAL_REPLICATES, FEWEST_REPLICATES, VerdictSet, find_row

ClaimWord = Literal["supported", "contradicted", "undecided", "not tested"]

ReplicatePair = tuple[Result, Result]
"""Results of the better and of the worse system, as claimed, on the same split with the same seed."""

FUTILE: tuple[RowState, ...] = ("diverged", "collapsed")
"""States of a row without a score that more runs would not mend: first words of why a comparison is not tested."""

PRIMARY = "Baseline"
"""The system against which RS-SAM is compared without adjustment."""


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """Comparison of two systems in our results. Differences are `better` less `worse`, in the order of `pairs`.

    `divisor` is Holm's: the number of comparisons of its family that share the 5 % at its place; 1 for a comparison by
    itself. The interval of `contrast` is widened accordingly, so that it excludes 0 exactly where the word is not
    "undecided". `imagery` is the paired interval over test units: what would change on new images, with these trained
    networks.
    """

    comparison: Comparison
    score: ScoreName
    word: ClaimWord
    why: str  # of "not tested"
    differences: tuple[float, ...]
    contrast: Contrast | None = None
    divisor: int = 1
    imagery: Interval | None = None
    missing: tuple[str, ...] = ()  # runs that are not there
    pairs: tuple[ReplicatePair, ...] = ()

    @property
    def points_held(self) -> bool | None:
        """Return whether the amount that the text states lies in our interval; None where none is stated or tested."""
        if self.comparison.points is None or self.contrast is None:
            return None
        return self.contrast.low <= self.comparison.points / 100 <= self.contrast.high


ComparisonKey = tuple[Comparison, ScoreName]

PairedByKey = Mapping[ComparisonKey, PairedComparison]


def key_of(comparison: Comparison, score: ScoreName) -> ComparisonKey:
    """Return the comparison without the stated amount and without whether it decides, so that it is tested once."""
    return replace(comparison, points=None, decides=True), score


def compare(verdict_set: VerdictSet) -> PairedByKey:
    """Test every comparison of every claim under the set's profile once, adjusted within its family."""
    keys = dict.fromkeys(
        key_of(comparison, claim.score)
        for claim in CLAIMS
        if claim.profile == ("fair" if verdict_set.setting.profile == "fair" else "paper")
        for comparison in claim.comparisons
    )
    return tested(keys, verdict_set.groups, family)


def tested(
    keys: Iterable[ComparisonKey],
    groups: Mapping[str, ResultGroup],
    family_of: Callable[[Comparison, ScoreName], tuple[str, ...]],
) -> PairedByKey:
    """Test comparisons in the results of each data set, adjusted within the family that `family_of` gives each."""
    by_key = {key: _paired(key, groups.get(key[0].dataset)) for key in keys}
    for members in gathered((family_of(*key), key) for key in by_key).values():
        by_key |= _adjusted({key: by_key[key] for key in members if by_key[key].contrast is not None})
    return {key: _with_imagery(paired, groups.get(key[0].dataset)) for key, paired in by_key.items()}


def family(comparison: Comparison, score: ScoreName) -> tuple[str, ...]:
    """Return the family that a comparison shares its 5 % with.

    RS-SAM against the Baseline is alone, against the other nine systems one family. The comparisons of Table 5 are
    another, those of Tables 6 and 7 alone.
    """
    systems = {name for name, _ in SYSTEMS}
    if comparison.better == "RS-SAM" and comparison.worse in systems:
        if comparison.worse == PRIMARY:
            return (comparison.dataset, score, "primary")
        return (comparison.dataset, score, "systems")
    if "Multi-scale Neck" in comparison.worse or "Multi-scale Neck" in comparison.better:
        return (comparison.dataset, score, "table5")
    return (comparison.dataset, score, comparison.better, comparison.worse)


def pairs(better: ResultGroupRow, worse: ResultGroupRow) -> list[ReplicatePair]:
    """Return results of both rows on the same split with the same seed; all others are left out."""
    by_identity = {replicate_identity(result): result for result in worse.results}
    return [
        (result, by_identity[identity])
        for result in better.results
        if (identity := replicate_identity(result)) in by_identity
    ]


def _paired(key: ComparisonKey, group: ResultGroup | None) -> PairedComparison:
    """Return the comparison with its contrast, not adjusted yet: "undecided", or "not tested" with why."""
    comparison, score = key
    rows = [find_row(group, name) for name in (comparison.better, comparison.worse)]
    better, worse = rows
    if group is None or better is None or worse is None:
        missing = tuple(
            name for name, row in zip((comparison.better, comparison.worse), rows, strict=True) if row is None
        )
        why = f"not run: {' and '.join(missing)}"
        return PairedComparison(comparison, score, "not tested", why, (), missing=missing)
    for state in (*FUTILE, "failed"):
        if lost := [_named(row) for row in (better, worse) if row.state == state]:
            return PairedComparison(comparison, score, "not tested", f"{state}: {' and '.join(lost)}", ())
    replicate_pairs = tuple(pairs(better, worse))
    scores = [tuple(getattr(result.scores, score) for result in pair) for pair in replicate_pairs]
    differences = tuple(above - below for above, below in scores)
    if len(replicate_pairs) < FEWEST_REPLICATES:
        count = len(replicate_pairs)
        why = f"{count} {plural(count, 'pair')} of runs, where a test takes {FEWEST_REPLICATES}: difference only"
        why = why if replicate_pairs else "no replicate that both have"
        return PairedComparison(comparison, score, "not tested", why, differences)
    if any(alike(values) for values in (*zip(*scores, strict=True), differences)):
        return PairedComparison(comparison, score, "not tested", f"{EQUAL_REPLICATES}: difference only", differences)
    found = contrast(differences, test_over_train(replicate_pairs))
    return PairedComparison(comparison, score, "undecided", "", differences, found, pairs=replicate_pairs)


def _named(row: ResultGroupRow) -> str:
    return f"{row.row.labels[0]} ({row.runs})" if row.failed else row.row.labels[0]


def test_over_train(replicate_pairs: Sequence[ReplicatePair]) -> float:
    """Return test images per training image where splits are drawn anew, for their overlap; 0 for an official split."""
    if all(better.published_split for better, _ in replicate_pairs):
        return 0.0
    return float(np.mean([better.data["test"] / better.data["train"] for better, _ in replicate_pairs]))


def _adjusted(members: PairedByKey) -> PairedByKey:
    """Return the members of a family with Holm's words, and intervals that agree with them."""
    ordered = sorted(members, key=lambda key: _contrast(members[key]).p)
    adjusted = holm([_contrast(members[key]).p for key in ordered])
    undecided = next((place for place, p in enumerate(adjusted) if p >= 1 - LEVEL), len(ordered))
    by_key = {}
    for place, key in enumerate(ordered):
        paired = members[key]
        # Holm steps down until one test fails: all after it would have to pass where that one failed.
        divisor = len(ordered) - min(place, undecided)
        overlap = test_over_train(paired.pairs)
        found = contrast(paired.differences, overlap, level=1 - (1 - LEVEL) / divisor)
        word: ClaimWord = "undecided" if place >= undecided else "supported" if found.mean > 0 else "contradicted"
        by_key[key] = replace(paired, word=word, contrast=found, divisor=divisor)
    return by_key


def _contrast(paired: PairedComparison) -> Contrast:
    assert paired.contrast is not None
    return paired.contrast


def _with_imagery(paired: PairedComparison, group: ResultGroup | None) -> PairedComparison:
    """Return the comparison with the interval of its mean difference of Dice over the units of all its test sets."""
    if group is None or paired.score != "dice" or paired.contrast is None:
        return paired
    better, worse = zip(*paired.pairs, strict=True)
    units = number_units(group.results)
    return replace(paired, imagery=interval(units.dice(better)[-1] - units.dice(worse)[-1], units))
