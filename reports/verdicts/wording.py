"""Write verdicts, claims and uses of test splits as sentences, for Markdown page, HTML page and terminal alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from benchmarks.protocol.claims import REPLICATES, TITLES
from benchmarks.protocol.setting import Setting
from benchmarks.results.test_set_log import SplitUses, count_uses
from reports.formatting import format_difference, join_words, plural
from reports.select.settings import PAPER_SETTING, describe
from reports.statistics.replicates import LEVEL_TEXT, ROUNDING, reach_factor
from reports.verdicts.claims import FEW_COMPARISONS, ClaimVerdict
from reports.verdicts.paired import PairedComparison
from reports.verdicts.rule import CAPS, FEWEST_REPLICATES, Shift, Verdict, VerdictSet, VerdictWord
from reports.verdicts.summary import RankAgreement, VerdictSummary, VerdictsWithRanks

COMPARISON_TABLES = (("table1", "deepglobe"), ("table2", "whu"), ("table3", "whdld"))
"""The tables of all eleven systems."""

RULE = (
    "The paper prints one run for each number. A *replicate* of ours is one training with a split and a seed of its "
    "own; on WHU, whose split is published, with a seed of its own. The mean Dice of a run's n replicates is held "
    "against the paper's Dice:",
    "*reproduced to ±T*: they differ by no more than T.",
    "*higher* or *lower*: our mean is outside of ±T.",
    "*undecided*: the replicates cannot tell, because T is above "
    f"{CAPS['deepglobe']:.3f} on DeepGlobe or {CAPS['whu']:.3f} on WHU and WHDLD.",
    f"*difference only*: fewer than {FEWEST_REPLICATES} replicates do not show their spread, nor do replicates that "
    "are equal to the last pixel, so there is no verdict.",
    "*not comparable*: the run was made in another way than the paper's, or one of its replicates collapsed, diverged "
    "or failed, so that a mean over the others would flatter it; the reasons are given.",
)
FACTOR = reach_factor(FEWEST_REPLICATES)
FORMULA = (
    "T = t · s · sqrt(1 + 1/n) + 0.0005. Here s is the standard deviation of the run's own n replicates; t is the "
    "97.5 % point of Student's distribution with n - 1 degrees of freedom; the 1 stands for the luck of the paper's "
    f"own single run, and {ROUNDING} is half the last digit it prints. A true replication lies outside of ±T in about "
    f"one case of twenty, steady or not. The price: with {FEWEST_REPLICATES} replicates T is {FACTOR:.2f} s "
    f"+ {ROUNDING}, so a T of {CAPS['whu']:.3f} needs an s of at most {(CAPS['whu'] - ROUNDING) / FACTOR:.4f}. Runs "
    "share their splits, so several may lie outside together: the joint shift of all runs on a data set shows that."
)
CLAIM_RULE = (
    "For each sentence of the paper that claims something of its numbers: do the paper's own tables say so, and do our "
    "runs? The paper prints single runs without a spread, so *holds* means only that its printed numbers agree with "
    "its sentence.",
    "Ours are differences between two systems on the same replicates (same split, same seed). *supported*: the "
    "difference is above 0 beyond the luck of split and training, at 5 %; *contradicted*: below 0 likewise; "
    "*undecided*: the difference is smaller than the smallest that could have been seen; *not tested*: the runs are "
    f"not there, or fewer than {FEWEST_REPLICATES} pairs of them, or replicates that are equal to the last pixel, or a "
    "replicate of either system collapsed, diverged or failed. The word says which system is better; if a "
    "sentence also says by how much, a note says whether that amount lies in our interval. A point is 0.01 of Dice or "
    "Jaccard.",
    "The variance allows for the overlap of re-drawn training sets: SE² = s² (1/n + test/train) for n pairs "
    "(Nadeau and Bengio, 2003), and s²/n on the published split. RS-SAM against the Baseline is tested by itself on "
    "each data set. RS-SAM against the other systems of a data set is one family, and so are the rows of Table 5: "
    "there intervals are widened (Holm), so that the whole family errs in 5 % of cases.",
)
TEST_SPLIT_USES = (
    "A test split wears out by being looked at: what is chosen after seeing test scores fits them. Every test of a "
    "trained network is therefore written down, and nothing takes a line away."
)


def title(verdict_set: VerdictSet) -> str:
    """Return the heading of a set of verdicts."""
    owner = "published results" if verdict_set.source == "published" else "your results"
    setting = "the paper's setting" if verdict_set.setting == PAPER_SETTING else describe(verdict_set.setting)
    return f"{setting[0].upper()}{setting[1:]}, {owner}"


def summary_lines(verdict_set: VerdictSet) -> list[str]:
    """Return the count of verdicts, how many lie outside, and the joint shift of each data set."""
    total = len(verdict_set.verdicts)
    if not verdict_set.groups:
        return [
            "No verdict: nothing was run under this setting. `rssam-bench reproduce claims` makes five replicates of "
            "the runs that claims rest on and one of each other run; `rssam-bench reproduce all --repeats 5` "
            "makes five of every run."
        ]
    counts = Counter(verdict.word for verdict in verdict_set.verdicts)
    counted = [f"{counts[word]} {word}" for word in get_args(VerdictWord) if counts[word]]
    lines = [f"Of the paper's {total} runs: {join_words(counted)}."]
    if verdict_set.decided:
        decided, outside = len(verdict_set.decided), len(verdict_set.outside)
        lines.append(
            f"{outside} of the {decided} decided {plural(decided, 'run')} {'lies' if outside == 1 else 'lie'} outside "
            "±T."
        )
    lines += [f"{short(dataset)}: {shift_text(shift)}." for dataset, shift in verdict_set.shifts.items() if shift.runs]
    reasons = Counter(
        reason
        for verdict in verdict_set.verdicts
        if verdict.word == "not comparable"
        for reason in verdict.why.split("; ")
    )
    if reasons:
        with_counts = [f"{reason} ({count} {plural(count, 'run')})" for reason, count in reasons.items()]
        lines.append(f"Not comparable, because: {'; '.join(with_counts)}.")
    lines += [f"{sentence}." for sentence in verdict_set.passed_over]
    return lines


def shift_text(shift: Shift) -> str:
    """Return the joint shift with its interval, and whether that excludes 0; or why there is none."""
    if shift.why:
        return f"no joint shift, because {shift.why}"
    found = "no common shift is seen" if shift.low <= 0 <= shift.high else "they are off together"
    return (
        f"{shift.runs} runs together, mean shift from the paper {format_difference(shift.mean, 4)} in Dice "
        f"({LEVEL_TEXT} {format_difference(shift.low, 4)} to {format_difference(shift.high, 4)}, "
        f"{shift.replicates} common replicates): {found}"
    )


def answers(summary: VerdictSummary, setting: Setting) -> list[str]:
    """Return verdicts on the user's results under a setting and the claims tested with it, in few lines."""
    lines = []
    for ranked in summary.ranked:
        if ranked.verdict_set.setting == setting and ranked.verdict_set.source == "own":
            lines += [title(ranked.verdict_set), *summary_lines(ranked.verdict_set)]
    lines += [
        f"{short_answer(verdict)}: {verdict.claim.says}"
        for verdict in summary.claims.get("own", ())
        if setting == Setting(verdict.claim.profile)
    ]
    return lines


def verdicts_by_dataset(verdict_set: VerdictSet) -> dict[str, list[Verdict]]:
    """Return the verdicts on each data set of which something was run."""
    return {
        dataset: [verdict for verdict in verdict_set.verdicts if verdict.run.dataset == dataset]
        for dataset in verdict_set.groups
    }


def places(verdict: Verdict) -> str:
    """Return the numbers of the tables a run stands in: "1, 5, 7"."""
    return ", ".join(table.removeprefix("table") for table in verdict.run.tables)


def points(value: float) -> str:
    """Return a difference of scores in points, with one decimal and its sign."""
    return format_difference(100 * value, 1)


def mean_points(paired: PairedComparison) -> str:
    """Return our difference in points with its interval; a single one without; empty where there is none."""
    contrast = paired.contrast
    if contrast is not None:
        return f"{points(contrast.mean)} ({points(contrast.low)} to {points(contrast.high)})"
    return ", ".join(points(difference) for difference in paired.differences)


def smallest(paired: PairedComparison) -> str:
    """Return the smallest difference that could have been seen, in points; empty for an untested comparison."""
    return "" if paired.contrast is None else f"{100 * paired.contrast.smallest:.1f}"


def imagery(paired: PairedComparison) -> str:
    """Return the interval over new images in points, and whether units are scenes; empty where there is none."""
    found = paired.imagery
    if found is None or found.why:
        return ""
    return f"{points(found.low)} to {points(found.high)}{' by scene' if found.scenes else ''}"


def measured(verdict: ClaimVerdict) -> list[str]:
    """Return our deciding comparisons of a claim in words; of many only those that do not support it."""
    tested = [paired for paired in verdict.deciding if paired.contrast is not None]
    if len(verdict.deciding) > FEW_COMPARISONS:
        tested = [paired for paired in tested if paired.word != "supported"]
    lines = []
    for paired in tested:
        comparison, stated = paired.comparison, ""
        if paired.points_held is not None:
            inside = "in" if paired.points_held else "outside"
            stated = f"; the stated +{comparison.points} lies {inside} that interval"
        lines.append(
            f"{comparison.better} over {comparison.worse} on {short(comparison.dataset)}: "
            f"{mean_points(paired)} points{stated}; the smallest difference that would show is {smallest(paired)}"
        )
    return lines


def paper_answer(verdict: ClaimVerdict) -> str:
    """Return the word on the paper's own tables, and whether only the amount is at fault."""
    claim = verdict.claim
    better = all(comparison.printed(claim.score) > 0 for comparison in claim.comparisons)
    amount = better and verdict.paper.word == "does not hold"
    return "does not hold: not by that amount" if amount else verdict.paper.word


def remedy(verdict: ClaimVerdict) -> str:
    """Return the command that makes a claim testable; empty for a claim that is tested, or would stay untested."""
    claim = verdict.claim
    if verdict.word != "not tested" or verdict.incomparable:
        return ""
    profile = "" if claim.profile == PAPER_SETTING.profile else f" --profile {claim.profile}"
    if not claim.sweeping:
        return f"rssam-bench reproduce claims{profile}"
    datasets = {comparison.dataset for comparison in claim.comparisons}
    tables = [name for name, dataset in COMPARISON_TABLES if dataset in datasets]
    return f"rssam-bench reproduce {' '.join(tables)} --repeats {REPLICATES}{profile}"


def short_answer(verdict: ClaimVerdict) -> str:
    """Return the word on our runs, and whether a stated amount lies outside our intervals."""
    held = [paired.points_held for paired in verdict.deciding]
    return f"{verdict.word}, but not the amount" if verdict.word == "supported" and False in held else verdict.word


def outcome(paired: PairedComparison) -> str:
    """Return the word of a comparison, and why it is not tested."""
    return f"{paired.word}: {paired.why}" if paired.why else paired.word


def comparisons(ranked: VerdictsWithRanks) -> list[PairedComparison]:
    """Return the comparisons that have a difference, by data set."""
    with_difference = [paired for paired in ranked.paired.values() if paired.differences]
    order = list(TITLES)
    return sorted(with_difference, key=lambda paired: (order.index(paired.comparison.dataset), paired.score != "dice"))


def short(dataset: str) -> str:
    """Return a data set's name in a table."""
    return {"deepglobe": "DeepGlobe", "whu": "WHU", "whdld": "WHDLD"}.get(dataset, dataset)


def imagery_note(ranked: VerdictsWithRanks) -> str:
    """Return what the column on new images means; empty without such a column."""
    found = [paired.imagery for paired in ranked.paired.values() if paired.imagery is not None]
    if not found:
        return ""
    scenes = any(one.scenes for one in found)
    unit = "whole scenes (tiles known to abut stay together)" if scenes else "test images"
    missing = dict.fromkeys(one.why for one in found if one.why)
    return (
        f"*On new images* is the paired {LEVEL_TEXT} interval over {unit}: how far the difference would move on other "
        "images of the same kind, with the networks as they were trained. It leaves out the luck of split and "
        "training, so it may exclude 0 where the verdict is undecided, and it is not widened for the number of "
        "comparisons." + (f" No interval: {'; '.join(missing)}." if missing else "")
    )


def rank_sentence(ranks: Sequence[RankAgreement]) -> str:
    """Return the rank agreements in one sentence; empty without one."""
    if not ranks:
        return ""
    agreements = [
        f"Table {rank.table.removeprefix('table')}: {rank.tau:.2f} ({rank.systems} of {rank.rows} systems)"
        for rank in ranks
    ]
    return (
        "Order of the systems by Dice, ours against the paper's (Kendall's tau: 1 is the same order, 0 none, -1 the "
        f"reverse): {'; '.join(agreements)}."
    )


def split_use_lines(summary: VerdictSummary) -> list[str]:
    """Return how often each test split was used, lines that cannot be read, and results missing in the ledger."""
    lines = [
        f"{short(split.dataset)}, split {split.split[:10]}: {describe_uses(split)}."
        for split in count_uses(summary.ledger.uses)
    ]
    if not lines:
        lines.append("No use of a test split is recorded in this home.")
    if summary.unrecorded:
        count = summary.unrecorded
        lines.append(
            f"{count} {plural(count, 'result')} of yours {'is' if count == 1 else 'are'} not in this record: tested "
            "in another home, or before the record was kept."
        )
    return [*lines, *(f"Damaged: {sentence}." for sentence in summary.ledger.damaged)]


def describe_uses(split: SplitUses) -> str:
    """Return how often a test split was used, and by what."""
    others = f"; {split.others} of them by predictions that were scored or systems of other data"
    return (
        f"{split.uses} {plural(split.uses, 'use')} by {split.runs} {plural(split.runs, 'run')} of {split.systems} "
        f"{plural(split.systems, 'system')}{others if split.others else ''}"
    )
