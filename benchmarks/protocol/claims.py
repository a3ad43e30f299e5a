"""Declare the claims of the paper's text as data: which run is said to exceed which, and by how much.

A claim is tested by comparisons of runs on the same replicates. The runs it rests on are the claim-bearing runs, which
`reproduce claims` repeats. Claims over every system would make all runs such, and are tested with what is there.
Sentences are quoted as printed, slips included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.protocol.paper_numbers import TEXT_RANGES
from benchmarks.protocol.paper_runs import PAPER_RUNS, PaperRun
from benchmarks.protocol.tables import SYSTEMS, TABLES

ScoreName = Literal["dice", "jaccard"]

RUNS: dict[tuple[str, str], PaperRun] = {(run.dataset, run.name): run for run in PAPER_RUNS}
"""The paper's runs by data set and name."""

REPLICATES = 5
"""Of each claim-bearing run, unless asked for otherwise."""


@dataclass(frozen=True)
class ClaimSet:
    """Claims as a single item that can be reproduced and reported."""

    id: str = "claims"
    title: str = "Verdicts and claims"


@dataclass(frozen=True)
class Comparison:
    """`better` is said to exceed `worse`, two runs on one data set; by `points` (100 x score), where the text says so.

    A claim is decided by all its comparisons but those that do not `decide`: inside a range whose ends are others.
    """

    dataset: str
    better: str
    worse: str
    points: float | None = None
    decides: bool = True

    def printed(self, score: ScoreName) -> float:
        """Return the difference in the paper's tables, in points with one decimal, as printed scores allow."""
        above, below = (RUNS[self.dataset, name].printed[score] for name in (self.better, self.worse))
        return round(100 * (above - below), 1)


@dataclass(frozen=True)
class Claim:
    """Claim of the paper: the sentence as printed, where it stands, what it says in plain words, and what it compares.

    `stated` is the range of differences the sentence gives, in points. A `sweeping` claim is over more systems than
    `reproduce claims` repeats. `profile` is the recipe under which the claim is tested.
    """

    id: str
    sentence: str
    where: str
    says: str
    comparisons: tuple[Comparison, ...]
    score: ScoreName = "dice"
    stated: tuple[float, float] | None = None
    sweeping: bool = False
    profile: Literal["paper", "fair"] = "paper"

    def __post_init__(self) -> None:
        for comparison in self.comparisons:
            for name in (comparison.better, comparison.worse):
                if (comparison.dataset, name) not in RUNS:
                    raise ValueError(f"no run {name!r} on {comparison.dataset} in the paper's tables")


TITLES = {"deepglobe": "DeepGlobe", "whu": "the aerial imagery (WHU)", "whdld": "WHDLD"}
OTHERS = tuple(name for name, _ in SYSTEMS if name != "RS-SAM")
SAM_VARIANTS = ("SAM Adapter", "Baseline", "RSAM-Seg")


def _range(number: int, sentence: str) -> Claim:
    """Return a claim on a line of TEXT_RANGES; the systems that make the ends in the paper's tables decide it."""
    where, table, score, systems, low, high = TEXT_RANGES[number]
    dataset = TABLES[table].dataset
    comparisons = [Comparison(dataset, "RS-SAM", system) for system in systems]
    ordered = sorted(comparisons, key=lambda comparison: comparison.printed(score))
    points = {ordered[0].worse: low, ordered[-1].worse: high}
    return Claim(
        id=f"{dataset}-{score}",
        sentence=sentence,
        where=where.partition(":")[0],
        says=f"On {TITLES[dataset]}, {score.title()} of RS-SAM is {low} to {high} points above {_listed(systems)}.",
        comparisons=tuple(
            Comparison(dataset, "RS-SAM", system, points.get(system), system in points) for system in systems
        ),
        score=score,
        stated=(low, high),
    )


def _over(datasets: Sequence[str], systems: Sequence[str]) -> tuple[Comparison, ...]:
    return tuple(Comparison(dataset, "RS-SAM", system) for dataset in datasets for system in systems)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


NECK, MFF, MHFF = "Multi-scale Neck", "Multi-scale Neck + MFF", "Multi-scale Neck + MHFF"
MODULES = "section 4.3, Multi-scale Progressive Refinement Module"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="baseline",
        sentence="our model outperforms the baseline by 0.8% to 6.2% on the Dice metric",
        where="abstract, and again in section 1",
        says="On each of the three data sets, Dice of RS-SAM is 0.8 to 6.2 points above the Baseline.",
        comparisons=(
            Comparison("deepglobe", "RS-SAM", "Baseline", 6.2),
            Comparison("whu", "RS-SAM", "Baseline"),
            Comparison("whdld", "RS-SAM", "Baseline", 0.8),
        ),
        stated=(0.8, 6.2),
    ),
    _range(2, "On the DeepGlobe dataset, RS-SAM's Dice index is 3.1% to 6.2% higher"),
    _range(3, "and its Jaccard index is 4.0% to 7.8% higher."),
    _range(4, "For the Aerial Imagery dataset, RS-SAM's Dice index is 0.9% to 2.8% higher"),
    _range(5, "and its Jaccard index is 1.3% to 5.0% higher."),
    _range(6, "On the WHDLD dataset, RS-SAM's Dice index is 0.3% to 3.2% higher"),
    _range(7, "and its Jaccard index is 0.5% to 3.8% higher."),
    Claim(
        id="sam-variants",
        sentence="RS-SAM significantly outperforms other SAM variants such as SAM Adapter [20], Baseline [8], and "
        "RSAM-Seg [30].",
        where="section 4.2",
        says="On each data set, Dice of RS-SAM is above SAM Adapter, Baseline and RSAM-Seg.",
        comparisons=_over(tuple(TITLES), SAM_VARIANTS),
        sweeping=True,
    ),
    *(
        Claim(
            id=f"best-{dataset}",
            sentence="RS-SAM achieves significant performance improvements in RSS, greatly enhancing segmentation "
            "capabilities and outperforming other methods.",
            where="section 4.2",
            says=f"On {title}, Dice of RS-SAM is the highest of the eleven systems.",
            comparisons=_over((dataset,), OTHERS),
            sweeping=True,
        )
        for dataset, title in TITLES.items()
    ),
    *(
        Claim(
            id=f"fair-{dataset}",
            sentence="We present fair comparisons with advanced remote sensing domain segmentation methods",
            where="section 4.2",
            says=f"On {title}, Dice of RS-SAM is still the highest if each system's learning rate is chosen by its "
            "validation loss (profile fair), and not one rate for all.",
            comparisons=_over((dataset,), OTHERS),
            sweeping=True,
            profile="fair",
        )
        for dataset, title in TITLES.items()
    ),
    Claim(
        id="neck",
        sentence="In Table 5, we show the impact of the Multi-scale Neck on SAM. Specifically, the Dice coefficient "
        "has increased from 0.703 to 0.765",
        where="section 4.3, Multi-scale Neck",
        says="The Multi-scale Neck alone raises the Baseline's Dice on DeepGlobe by 6.2 points.",
        comparisons=(Comparison("deepglobe", NECK, "Baseline", 6.2),),
        stated=(6.2, 6.2),
    ),
    Claim(
        id="last-layer",
        sentence="using only the feature map of the last layer of ViT Block in SAM have better performance than the "
        "multi-scale features of 1/4, 1/8, 1/16, and 1/32 generated by 3, 6, 9, and 12 layers respectively.",
        where="section 4.3, Multi-scale Neck",
        says="On DeepGlobe, features made from the last layer give a higher Dice than features of layers 3, 6, 9, 12.",
        comparisons=(Comparison("deepglobe", "RS-SAM", "layers 3, 6, 9, and 12"),),
    ),
    Claim(
        id="mff",
        sentence="Introducing the MFF increases the Dice to 0.759",
        where=MODULES,
        says="On DeepGlobe, MFF added to the Multi-scale Neck raises Dice by 0.3 points (0.756 to 0.759).",
        comparisons=(Comparison("deepglobe", MFF, NECK, 0.3),),
        stated=(0.3, 0.3),
    ),
    Claim(
        id="mhff",
        sentence="With only the MHFF, the Dice increases to 0.757",
        where=MODULES,
        says="On DeepGlobe, MHFF added to the Multi-scale Neck raises Dice by 0.1 points (0.756 to 0.757).",
        comparisons=(Comparison("deepglobe", MHFF, NECK, 0.1),),
        stated=(0.1, 0.1),
    ),
    Claim(
        id="both-modules",
        sentence="When combined, the model significantly improve performance, achieving the Dice of 0.765",
        where=MODULES,
        says="On DeepGlobe, MFF and MHFF together give a higher Dice than the Neck alone or with either of them.",
        comparisons=(
            Comparison("deepglobe", "RS-SAM", NECK),
            Comparison("deepglobe", "RS-SAM", MFF),
            Comparison("deepglobe", "RS-SAM", MHFF),
        ),
    ),
    Claim(
        id="smaller-encoder",
        sentence="RS-SAM (ViT-B) outperforms Baseline (ViT-L), although the latter has a much larger number of "
        "parameters than the former, achieving a Dice of 0.765 versus 0.761",
        where="section 4.3, Different Image Encoder Sizes",
        says="On DeepGlobe, Dice of RS-SAM with ViT-B is 0.4 points above the Baseline with the larger ViT-L.",
        comparisons=(Comparison("deepglobe", "RS-SAM", "Baseline (ViT-L)", 0.4),),
        stated=(0.4, 0.4),
    ),
)


def claim_bearing() -> tuple[PaperRun, ...]:
    """Return the runs on which claims under the paper's recipe are decided, in the order of the tables.

    Sweeping claims bear none: they are over all eleven systems, and would call for replicates of every run.
    """
    names = {
        (comparison.dataset, name)
        for claim in CLAIMS
        if not claim.sweeping
        for comparison in claim.comparisons
        if comparison.decides
        for name in (comparison.better, comparison.worse)
    }
    return tuple(run for run in PAPER_RUNS if (run.dataset, run.name) in names)
