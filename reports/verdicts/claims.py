"""Does each sentence of the paper hold: in its own tables, and in our results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.protocol.claims import CLAIMS, RUNS, Claim, Comparison
from reports.select.not_comparable import row_reasons
from reports.verdicts.paired import COLLAPSED, Key, Paired, Word, key_of
from reports.verdicts.rule import VerdictSet, find_row

FEW = 3
"""Comparisons of a claim up to which each is shown; of more, the closest on each data set."""

OnPaperWord = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class OnPaper:
    """Whether the paper's own printed numbers say what the sentence says, and which numbers those are."""

    word: OnPaperWord
    evidence: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ClaimVerdict:
    """A claim with its two answers; `why` is the ground of one that is not tested.

    `incomparable`: there are runs, but collapsed or made in another way than the paper's.
    """

    claim: Claim
    paper: OnPaper
    word: Word
    why: str
    paired: tuple[Paired, ...]  # in the order of the claim's comparisons
    incomparable: bool = False

    @property
    def deciding(self) -> tuple[Paired, ...]:
        """The comparisons the answer rests on."""
        return tuple(one for one in self.paired if one.comparison.decides)

    @property
    def tally(self) -> str:
        """The words of the comparisons behind it, counted: "2 of 3 supported, 1 undecided"."""
        words = [one.word for one in self.deciding]
        counted = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        return f"{len(words)} comparisons: {', '.join(counted)}" if len(words) > 1 else ""


def claim_verdicts(by_profile: Mapping[str, tuple[VerdictSet, Mapping[Key, Paired]]]) -> tuple[ClaimVerdict, ...]:
    """Every claim, tested under the profile it is about; one under which there is no result is not tested."""
    return tuple(_verdict(claim, by_profile.get(claim.profile)) for claim in CLAIMS)


def on_paper(claim: Claim) -> OnPaper:
    """The claim against the paper's own tables."""
    if claim.profile != "paper":
        return OnPaper(
            "cannot be told",
            ("The paper names one selection rule for all systems, and neither the rates nor how they were chosen.",),
        )
    evidence = [_printed(claim, one) for one in _telling(claim)]
    found = [one.printed(claim.score) for one in claim.comparisons]
    holds = min(found) > 0
    if claim.stated is not None:
        stated, tables = _range(*claim.stated), _range(min(found), max(found))
        if stated != tables:
            holds = False
            evidence.append(f"The sentence says {stated} points, the tables {tables}.")
    return OnPaper("holds" if holds else "does not hold", tuple(evidence))


def _telling(claim: Claim) -> list[Comparison]:
    """All comparisons of a claim with few, else the closest one on each data set."""
    if len(claim.comparisons) <= FEW:
        return list(claim.comparisons)
    closest: dict[str, Comparison] = {}
    for one in sorted(claim.comparisons, key=lambda one: one.printed(claim.score)):
        closest.setdefault(one.dataset, one)
    return list(closest.values())


def _printed(claim: Claim, one: Comparison) -> str:
    """Both printed numbers, their difference, and the table they stand in."""
    above, below = (RUNS[one.dataset, name] for name in (one.better, one.worse))
    shared = [table for table in below.tables if table in above.tables]
    table = (shared or [below.tables[0]])[0].removeprefix("table")
    nearest = "the nearest, " if len(claim.comparisons) > FEW else ""
    return (
        f"Table {table}: {one.better} {above.printed[claim.score]:.3f}; {nearest}{one.worse} "
        f"{below.printed[claim.score]:.3f}; {one.printed(claim.score):+.1f} points."
    )


def _range(low: float, high: float) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _verdict(claim: Claim, under: tuple[VerdictSet, Mapping[Key, Paired]] | None) -> ClaimVerdict:
    paper = on_paper(claim)
    if under is None or not under[0].sections:
        return ClaimVerdict(claim, paper, "not tested", f"nothing run under profile {claim.profile}", ())
    judgement, measured = under
    paired = tuple(replace(measured[key_of(one, claim.score)], comparison=one) for one in claim.comparisons)
    reasons = _reasons(claim, judgement)
    if reasons:
        why = f"not comparable with the paper: {'; '.join(reasons)}"
        return ClaimVerdict(claim, paper, "not tested", why, paired, incomparable=True)
    deciding = [one for one in paired if one.comparison.decides]
    words = [one.word for one in deciding]
    why = ""
    word: Word = "supported"
    if "contradicted" in words:
        word = "contradicted"
    elif "not tested" in words:
        word, why = "not tested", _want(deciding)
    elif "undecided" in words:
        word = "undecided"
    collapsed = any(one.why.startswith(COLLAPSED) for one in deciding)
    return ClaimVerdict(claim, paper, word, why, paired, incomparable=collapsed)


def _want(deciding: Sequence[Paired]) -> str:
    """What the comparisons behind a claim lack; many missing runs are counted, not listed."""
    missing = {(one.comparison.dataset, name): None for one in deciding for name in one.missing}
    several = len({dataset for dataset, _ in missing}) > 1
    names = [f"{name} on {dataset}" if several else name for dataset, name in missing]
    other = dict.fromkeys(one.why for one in deciding if one.why and not one.missing)
    absent = f"not run: {', '.join(names)}" if len(names) <= FEW else f"{len(names)} of its runs not run"
    return "; ".join((*([absent] if names else []), *other))


def _reasons(claim: Claim, judgement: VerdictSet) -> tuple[str, ...]:
    """Why the runs behind a claim cannot be set beside the paper's; a collapse is said of its comparison."""
    found: list[str] = []
    for one in claim.comparisons:
        section = judgement.sections.get(one.dataset)
        for name in (one.better, one.worse):
            row = find_row(section, name)
            if one.decides and section is not None and row is not None and not row.collapsed:
                found += row_reasons(section, row, any_recipe=claim.profile != "paper")
    return tuple(dict.fromkeys(found))
