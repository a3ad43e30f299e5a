"""Decide for each sentence of the paper whether it holds in the paper's own tables, and in our results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.protocol.claims import CLAIMS, RUNS, Claim, Comparison
from reports.formatting import format_range
from reports.select.not_comparable import row_reasons
from reports.verdicts.paired import FUTILE, ClaimWord, PairedByKey, PairedComparison, key_of
from reports.verdicts.rule import VerdictSet, find_row

FEW_COMPARISONS = 3
"""Comparisons of a claim up to which every one is shown; of more, the closest on each data set."""

OnPaperWord = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class OnPaper:
    """Answer of the paper's own printed numbers to a sentence, and which numbers those are."""

    word: OnPaperWord
    evidence: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ClaimVerdict:
    """Claim with its two answers; `why` is the ground of a claim that is not tested.

    `incomparable`: there are runs, but diverged, collapsed or made in another way than the paper's.
    """

    claim: Claim
    paper: OnPaper
    word: ClaimWord
    why: str
    paired: tuple[PairedComparison, ...]  # in the order of the claim's comparisons
    incomparable: bool = False

    @property
    def deciding(self) -> tuple[PairedComparison, ...]:
        """Return the comparisons the answer rests on."""
        return tuple(paired for paired in self.paired if paired.comparison.decides)

    @property
    def tally(self) -> str:
        """Return the words of the comparisons behind it, counted: "2 of 3 supported, 1 undecided"."""
        words = [paired.word for paired in self.deciding]
        counted = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        return f"{len(words)} comparisons: {', '.join(counted)}" if len(words) > 1 else ""


def claim_verdicts(by_profile: Mapping[str, tuple[VerdictSet, PairedByKey]]) -> tuple[ClaimVerdict, ...]:
    """Return the verdict on every claim under the profile it is about; "not tested" where that has no result."""
    return tuple(_verdict(claim, by_profile.get(claim.profile)) for claim in CLAIMS)


def on_paper(claim: Claim) -> OnPaper:
    """Return whether the paper's own tables say what the claim says."""
    if claim.profile != "paper":
        return OnPaper(
            "cannot be told",
            ("The paper names one selection rule for all systems, and neither the rates nor how they were chosen.",),
        )
    evidence = [_printed(claim, comparison) for comparison in _most_telling(claim)]
    points = [comparison.printed(claim.score) for comparison in claim.comparisons]
    holds = min(points) > 0
    if claim.stated is not None:
        stated, tables = (format_range(str(low), str(high)) for low, high in (claim.stated, (min(points), max(points))))
        if stated != tables:
            holds = False
            evidence.append(f"The sentence says {stated} points, the tables {tables}.")
    return OnPaper("holds" if holds else "does not hold", tuple(evidence))


def _most_telling(claim: Claim) -> list[Comparison]:
    """Return all comparisons of a claim with few, otherwise the closest on each data set."""
    if len(claim.comparisons) <= FEW_COMPARISONS:
        return list(claim.comparisons)
    closest: dict[str, Comparison] = {}
    for comparison in sorted(claim.comparisons, key=lambda comparison: comparison.printed(claim.score)):
        closest.setdefault(comparison.dataset, comparison)
    return list(closest.values())


def _printed(claim: Claim, comparison: Comparison) -> str:
    """Return both printed numbers, their difference, and the table they stand in."""
    above, below = (RUNS[comparison.dataset, name] for name in (comparison.better, comparison.worse))
    shared = [table for table in below.tables if table in above.tables]
    table = (shared or [below.tables[0]])[0].removeprefix("table")
    nearest = "the nearest, " if len(claim.comparisons) > FEW_COMPARISONS else ""
    return (
        f"Table {table}: {comparison.better} {above.printed[claim.score]:.3f}; {nearest}{comparison.worse} "
        f"{below.printed[claim.score]:.3f}; {comparison.printed(claim.score):+.1f} points."
    )


def _verdict(claim: Claim, results: tuple[VerdictSet, PairedByKey] | None) -> ClaimVerdict:
    paper = on_paper(claim)
    if results is None or not results[0].groups:
        return ClaimVerdict(claim, paper, "not tested", f"nothing run under profile {claim.profile}", ())
    verdict_set, by_key = results
    paired = tuple(
        replace(by_key[key_of(comparison, claim.score)], comparison=comparison) for comparison in claim.comparisons
    )
    reasons = _reasons(claim, verdict_set)
    if reasons:
        why = f"not comparable with the paper: {'; '.join(reasons)}"
        return ClaimVerdict(claim, paper, "not tested", why, paired, incomparable=True)
    deciding = [tested for tested in paired if tested.comparison.decides]
    words = [tested.word for tested in deciding]
    decisive: tuple[ClaimWord, ...] = ("contradicted", "not tested", "undecided")
    word: ClaimWord = next((word for word in decisive if word in words), "supported")
    why = _lacking(deciding) if word == "not tested" else ""
    futile = any(tested.why.startswith(FUTILE) for tested in deciding)
    return ClaimVerdict(claim, paper, word, why, paired, incomparable=futile)


def _lacking(deciding: Sequence[PairedComparison]) -> str:
    """Return what the comparisons behind a claim lack; many missing runs are counted, not listed."""
    missing = {(paired.comparison.dataset, name): None for paired in deciding for name in paired.missing}
    several = len({dataset for dataset, _ in missing}) > 1
    names = [f"{name} on {dataset}" if several else name for dataset, name in missing]
    other = dict.fromkeys(paired.why for paired in deciding if paired.why and not paired.missing)
    absent = f"not run: {', '.join(names)}" if len(names) <= FEW_COMPARISONS else f"{len(names)} of its runs not run"
    return "; ".join((*([absent] if names else []), *other))


def _reasons(claim: Claim, verdict_set: VerdictSet) -> tuple[str, ...]:
    """Return why the runs behind a claim cannot be set beside the paper's.

    A row without a score is said of its comparison.
    """
    reasons: list[str] = []
    for comparison in claim.comparisons:
        group = verdict_set.groups.get(comparison.dataset)
        for name in (comparison.better, comparison.worse):
            row = find_row(group, name)
            if comparison.decides and group is not None and row is not None and row.state == "done":
                reasons += row_reasons(group, row, any_recipe=claim.profile != "paper")
    return tuple(dict.fromkeys(reasons))
