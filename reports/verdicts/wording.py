"""Verdicts, claims and the ledger in words: the sentences every renderer shares. A renderer adds form, not meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.protocol.claims import REPLICATES, TITLES
from benchmarks.protocol.setting import Setting
from benchmarks.results.test_set_log import count_uses
from reports.select.settings import PAPER_SETTING, describe
from reports.verdicts.claims import FEW, ClaimVerdict
from reports.verdicts.paired import Paired
from reports.verdicts.rank_agreement import RankAgreement
from reports.verdicts.rule import CAPS, FEWEST_DF, WORDS, Verdict, VerdictSet, Word
from reports.verdicts.summary import VerdictSummary, VerdictsWithRanks

OPEN: Word = "not comparable"
COMPARISON_TABLES = (("table1", "deepglobe"), ("table2", "whu"), ("table3", "whdld"))
"""The tables of all eleven systems."""

RULE = (
    "The paper prints one run for each number. A *replicate* of ours is one training with a split and a seed of its "
    "own; on WHU, whose split is published, with a seed of its own. The mean Dice of a run's n replicates is held "
    "against the paper's Dice:",
    "*reproduced to ±T*: they differ by no more than T.",
    "*higher* or *lower*: our mean is outside of ±T.",
    "*undecided*: the replicates cannot tell. Either T is above "
    f"{CAPS['deepglobe']:.3f} on DeepGlobe or {CAPS['whu']:.3f} on WHU and WHDLD, or there are too few replicates to "
    f"know their spread (less than {FEWEST_DF} degrees of freedom on that data set).",
    "*one run: difference only*: one replicate has no spread, so there is no verdict.",
    "*not comparable*: the run was made in another way than the paper's, and the reasons are given.",
)
FORMULA = (
    "T = t · s · sqrt(1 + 1/n) + 0.0005. Here s is the standard deviation of replicates about the mean of their own "
    "run, pooled over all runs on the data set; t is the 97.5 % point of Student's distribution with the degrees of "
    "freedom of s; the 1 stands for the luck of the paper's own single run, and 0.0005 is half the last digit it "
    "prints. A true replication lies outside of ±T in about one case of twenty."
)
CLAIM_RULE = (
    "For each sentence of the paper that claims something of its numbers: do the paper's own tables say so, and do our "
    "runs? The paper prints single runs without a spread, so *holds* means only that its printed numbers agree with "
    "its sentence.",
    "Ours are differences between two systems on the same replicates (same split, same seed). *supported*: the "
    "difference is above 0 beyond the luck of split and training, at 5 %; *contradicted*: below 0 likewise; "
    "*undecided*: the difference is smaller than the smallest that could have been seen; *not tested*: the runs are "
    "not there, or only one pair of them. The word is about which system is better; where a sentence also says by how "
    "much, it is said whether that amount lies in our interval. A point is 0.01 of Dice or Jaccard.",
    "The variance allows for the overlap of re-drawn training sets: SE² = s² (1/n + test/train) for n pairs "
    "(Nadeau and Bengio, 2003), and s²/n on the published split. RS-SAM against the Baseline is tested by itself on "
    "each data set. RS-SAM against the other systems of a data set is one family, and so are the rows of Table 5: "
    "there intervals are widened (Holm), so that the whole family errs in 5 % of cases.",
)
WORN = (
    "A test split wears out by being looked at: what is chosen after seeing test scores fits them. Every test of a "
    "trained network is therefore written down, and nothing takes a line away."
)


def title(judgement: VerdictSet) -> str:
    """The heading of one judgement."""
    owner = "published results" if judgement.source == "published" else "your results"
    if judgement.setting == PAPER_SETTING:
        return f"The paper's setting, {owner}"
    return f"{describe(judgement.setting)[0].upper()}{describe(judgement.setting)[1:]}, {owner}"


def summary(judgement: VerdictSet) -> list[str]:
    """The count of verdicts, how many lie outside and how many would by chance, and the spread they rest on."""
    total = len(judgement.verdicts)
    if not judgement.sections:
        return [
            "Nothing run under this setting, so no verdict. `rssam-bench reproduce claims` makes five replicates of "
            "the runs that claims rest on and one of each other run; `rssam-bench reproduce all --repeats 5` "
            "makes five of every run."
        ]
    words = Counter(one.word for one in judgement.verdicts)
    counted = [f"{words[word]} {WORDS[word].partition(' to ±')[0]}" for word in WORDS if words[word]]
    lines = [f"Of the paper's {total} runs: {_joined(counted)}."]
    if judgement.decided:
        decided, outside = len(judgement.decided), len(judgement.outside)
        lines.append(
            f"{outside} of the {decided} decided {_plural(decided, 'run')} {'lies' if outside == 1 else 'lie'} outside "
            f"±T. By chance alone {chance(judgement.expected_outside)} would, if every run were a true replication."
        )
    for dataset, spread in judgement.spreads.items():
        if spread.df:
            lines.append(
                f"{short(dataset)}: replicates spread by s = {spread.value:.4f} in Dice "
                f"({spread.df} {_plural(spread.df, 'degree')} of freedom)."
            )
    reasons = Counter(reason for one in judgement.verdicts for reason in one.why.split("; ") if one.word == OPEN)
    if reasons:
        each = "; ".join(f"{reason} ({count} {_plural(count, 'run')})" for reason, count in reasons.items())
        lines.append(f"Not comparable, because: {each}.")
    lines += [f"{sentence}." for sentence in judgement.passed_over]
    return lines


def chance(expected: float) -> str:
    """An expected count in words where it is near a whole number: "about 2"."""
    return f"about {expected:.0f}" if expected >= 1 else f"fewer than one ({expected:.1f})"


def answers(findings: VerdictSummary, setting: Setting) -> list[str]:
    """Verdicts on the user's results under a setting and the claims tested with it, in few lines for a terminal."""
    lines = []
    for judged in findings.judged:
        if judged.judgement.setting == setting and judged.judgement.source == "own":
            lines += [title(judged.judgement), *summary(judged.judgement)]
    told = [one for one in findings.claims.get("own", ()) if setting == Setting(one.claim.profile)]
    return [*lines, *(f"{short_answer(one)}: {one.claim.says}" for one in told)]


def runs_of(judgement: VerdictSet) -> list[tuple[str, list[Verdict]]]:
    """Verdicts by data set, without data sets of which nothing was run."""
    return [
        (dataset, [one for one in judgement.verdicts if one.run.dataset == dataset]) for dataset in judgement.sections
    ]


def places(verdict: Verdict) -> str:
    """The tables a run stands in: "1, 5, 7"."""
    return ", ".join(table.removeprefix("table") for table in verdict.run.tables)


def three(value: float | None) -> str:
    """A score with the paper's decimals; empty where there is none."""
    return "" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """A difference with its sign; empty where there is none."""
    if value is None:
        return ""
    text = f"{value:+.3f}"
    return text if float(text) else text[1:]


def points(value: float) -> str:
    """A difference of scores in points, with one decimal and its sign."""
    text = f"{100 * value:+.1f}"
    return text if float(text) else text[1:]


def mean_points(one: Paired) -> str:
    """Our difference in points with its interval; a single one without; empty where there is none."""
    if one.contrast is not None:
        return f"{points(one.contrast.mean)} ({points(one.contrast.low)} to {points(one.contrast.high)})"
    return ", ".join(points(value) for value in one.differences)


def smallest(one: Paired) -> str:
    """The smallest difference that could have been seen, in points."""
    return "" if one.contrast is None else f"{100 * one.contrast.smallest:.1f}"


def imagery(one: Paired) -> str:
    """The interval over new images, and what was resampled."""
    if one.imagery is None:
        return ""
    return f"{points(one.imagery.low)} to {points(one.imagery.high)}{' by scene' if one.scenes else ''}"


def measured(verdict: ClaimVerdict) -> list[str]:
    """What our runs show of a claim: each deciding comparison, or of many only those that do not support it."""
    tested = [one for one in verdict.deciding if one.contrast is not None]
    if len(verdict.deciding) > FEW:
        tested = [one for one in tested if one.word != "supported"]
    lines = []
    for one in tested:
        stated = ""
        if one.points_held is not None:
            stated = (
                f"; the stated +{one.comparison.points} lies {'in' if one.points_held else 'outside'} that interval"
            )
        lines.append(
            f"{one.comparison.better} over {one.comparison.worse} on {short(one.comparison.dataset)}: "
            f"{mean_points(one)} points{stated}; the smallest difference that would show is {smallest(one)}"
        )
    return lines


def paper_answer(verdict: ClaimVerdict) -> str:
    """The word on the paper's own tables, and whether only the amount is at fault."""
    better = all(one.printed(verdict.claim.score) > 0 for one in verdict.claim.comparisons)
    amount = better and verdict.paper.word == "does not hold"
    return "does not hold: not by that amount" if amount else verdict.paper.word


def remedy(verdict: ClaimVerdict) -> str:
    """The command that makes a claim testable which is not for want of runs; empty for others."""
    claim = verdict.claim
    if verdict.word != "not tested" or verdict.incomparable:
        return ""
    profile = "" if claim.profile == PAPER_SETTING.profile else f" --profile {claim.profile}"
    if not claim.sweeping:
        return f"rssam-bench reproduce claims{profile}"
    tables = [name for name, dataset in COMPARISON_TABLES if dataset in {one.dataset for one in claim.comparisons}]
    return f"rssam-bench reproduce {' '.join(tables)} --repeats {REPLICATES}{profile}"


def short_answer(verdict: ClaimVerdict) -> str:
    """The word on our runs, and whether a stated amount lies outside our intervals."""
    held = [one.points_held for one in verdict.deciding]
    return f"{verdict.word}, but not the amount" if verdict.word == "supported" and False in held else verdict.word


def outcome(one: Paired) -> str:
    """The word of a comparison, and why it has none."""
    return f"{one.word}: {one.why}" if one.why else one.word


def comparisons(judged: VerdictsWithRanks) -> list[Paired]:
    """Comparisons of which there is a difference, by data set."""
    found = [one for one in judged.paired.values() if one.differences]
    order = list(TITLES)
    return sorted(found, key=lambda one: (order.index(one.comparison.dataset), one.score != "dice"))


def short(dataset: str) -> str:
    """A data set's name in a table."""
    return {"deepglobe": "DeepGlobe", "whu": "WHU", "whdld": "WHDLD"}.get(dataset, dataset)


def imagery_note(judged: VerdictsWithRanks) -> str:
    """What the column on new images means."""
    found = [one for one in judged.paired.values() if one.imagery is not None]
    if not found:
        return ""
    scenes = any(one.scenes for one in found)
    unit = "whole scenes (tiles known to abut stay together)" if scenes else "test images"
    return (
        f"*On new images* is the 95 % interval over resampled {unit}: how far the difference would move on other "
        "images of the same kind, with the networks as they were trained. It leaves out the luck of split and "
        "training, so it may exclude 0 where the verdict is undecided, and it is not widened for the number of "
        "comparisons."
    )


def ranks(found: Sequence[RankAgreement]) -> str:
    """Rank agreement in one sentence; empty if there is none to tell."""
    if not found:
        return ""
    each = [
        f"Table {one.table.removeprefix('table')}: {one.tau:.2f} ({one.systems} of {one.rows} systems)" for one in found
    ]
    return (
        "Order of the systems by Dice, ours against the paper's (Kendall's tau: 1 is the same order, 0 none, -1 the "
        f"reverse): {'; '.join(each)}."
    )


def ledger(findings: VerdictSummary) -> list[str]:
    """How often each test split was used, lines that cannot be read, results that the ledger does not know."""
    lines = [
        f"{short(one.dataset)}, split {one.split[:10]}: {one.uses} {_plural(one.uses, 'use')} by {one.runs} "
        f"{_plural(one.runs, 'run')} of {one.systems} {_plural(one.systems, 'system')}"
        + (f"; {one.others} of them by predictions that were scored or systems of other data." if one.others else ".")
        for one in count_uses(findings.ledger.uses)
    ]
    if not lines:
        lines.append("No use of a test split is recorded in this home.")
    if findings.unrecorded:
        count = findings.unrecorded
        lines.append(
            f"{count} {_plural(count, 'result')} of yours {'is' if count == 1 else 'are'} not in this record: tested "
            "in another home, or before the record was kept."
        )
    return [*lines, *(f"Damaged: {sentence}." for sentence in findings.ledger.damaged)]


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
