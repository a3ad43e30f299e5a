"""Paired differences: only equal replicates are paired, families are adjusted, intervals agree with the words."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.claims import RUNS, Comparison
from reports.statistics.replicates import contrast, holm
from reports.verdicts import paired
from reports.verdicts.paired import compare, family, key_of
from reports.verdicts.rule import judge
from reports.verdicts.summary import rank_agreement
from tests.reports.study import PAPER, collection, made, replicated

EQUAL = "the replicates are equal to the last pixel, so they show no spread: difference only"
OVER_BASELINE = Comparison("deepglobe", "RS-SAM", "Baseline")


def verdicts_on(*results):
    (verdict_set,) = judge(collection(*results), PAPER)
    return verdict_set


def compared(*results, comparison=OVER_BASELINE, score="dice"):
    return compare(verdicts_on(*results))[key_of(comparison, score)]


def test_only_equal_pairs_of_split_and_seed_are_paired():
    """Averaged over unequal replicates, the difference was once that of the splits."""
    ours = [made("deepglobe", "RS-SAM", 0.76 + 0.01 * number, number) for number in (0, 1, 2)]
    theirs = [made("deepglobe", "Baseline", 0.70 + 0.01 * number, number) for number in (1, 2, 3)]
    other_split = made("deepglobe", "Baseline", 0.2, 0, split_seed=9)
    found = compared(*ours, *theirs, other_split)
    assert found.differences == pytest.approx((0.06, 0.06), abs=1e-4)


def test_an_official_split_is_one_whatever_the_split_seed():
    ours = replicated("whu", "RS-SAM", [0.94, 0.94])
    theirs = [made("whu", "Baseline", 0.91, seed, split_seed=0) for seed in (0, 1)]
    found = compared(*ours, *theirs, comparison=Comparison("whu", "RS-SAM", "Baseline"))
    assert found.differences == pytest.approx((0.03, 0.03), abs=1e-4)


def test_seeds_are_not_paired_with_other_seeds_on_one_split():
    ours = [made("whu", "RS-SAM", dice, seed) for seed, dice in ((0, 0.90), (1, 0.94), (2, 0.95))]
    theirs = [made("whu", "Baseline", dice, seed) for seed, dice in ((1, 0.91), (2, 0.92), (3, 0.80))]
    found = compared(*ours, *theirs, comparison=Comparison("whu", "RS-SAM", "Baseline"))
    assert found.differences == pytest.approx((0.03, 0.03), abs=1e-4)


@pytest.mark.parametrize(("dataset", "factor"), [("deepglobe", 1 / 5 + 934 / 4358), ("whu", 1 / 5)])
def test_standard_error_by_hand(dataset, factor):
    """Differences 0.00 to 0.04 have s = 0.01581; re-splits share images, an official split does not change."""
    ours = replicated(dataset, "RS-SAM", [0.74, 0.76, 0.78, 0.80, 0.82])
    theirs = replicated(dataset, "Baseline", [0.74, 0.75, 0.76, 0.77, 0.78])
    found = compared(*ours, *theirs, comparison=Comparison(dataset, "RS-SAM", "Baseline"))
    assert found.contrast.error == pytest.approx(0.01 * math.sqrt(2.5 * factor), abs=1e-4)
    assert found.contrast.smallest == pytest.approx(2.776445 * 0.01 * math.sqrt(2.5 * factor), abs=5e-4)


@pytest.mark.parametrize(
    ("ours", "theirs", "word", "why"),
    [
        ([0.76, 0.761, 0.762, 0.76, 0.761], [0.70, 0.701, 0.703, 0.70, 0.70], "supported", ""),
        ([0.70, 0.701, 0.703, 0.70, 0.70], [0.76, 0.761, 0.762, 0.76, 0.761], "contradicted", ""),
        ([0.70, 0.74, 0.72, 0.69, 0.71], [0.71, 0.71, 0.71, 0.71, 0.712], "undecided", ""),
        # Copies of one run: "supported" with p = 0, and for ours alone with a spread that theirs does not have.
        ([0.76] * 5, [0.70] * 5, "not tested", EQUAL),
        ([0.76, 0.761, 0.762, 0.76, 0.761], [0.70] * 5, "not tested", EQUAL),
        ([0.76], [0.70], "not tested", "1 pair of runs, where a test takes 5: difference only"),
        # Four pairs were once enough for "supported", where four replicates are not enough for a verdict.
        ([0.76] * 4, [0.70] * 4, "not tested", "4 pairs of runs, where a test takes 5: difference only"),
        ([0.76], [], "not tested", "not run: Baseline"),
        ([], [], "not tested", "not run: RS-SAM and Baseline"),
        ([0.76, 0.02], [0.70, 0.70], "not tested", "collapsed: RS-SAM"),
    ],
)
def test_words(ours, theirs, word, why):
    found = compared(*replicated("deepglobe", "RS-SAM", ours), *replicated("deepglobe", "Baseline", theirs))
    assert (found.word, found.why) == (word, why)


def test_no_replicate_in_common():
    ours, theirs = made("deepglobe", "RS-SAM", 0.7, 0), made("deepglobe", "Baseline", 0.7, 1)
    assert compared(ours, theirs).why == "no replicate that both have"


def test_the_baseline_is_alone_and_the_other_nine_are_one_family():
    members = [family(*key) for key in compare(verdicts_on())]
    assert members.count(("deepglobe", "dice", "systems")) == 9
    assert members.count(("deepglobe", "dice", "primary")) == 1
    assert members.count(("deepglobe", "dice", "table5")) == 6
    assert members.count(("deepglobe", "jaccard", "systems")) == 2
    assert len([member for member in members if member[0] == "whdld" and member[1:] == ("dice", "systems")]) == 9


def whole_table(rng, dataset="deepglobe", gap=0.01):
    names = [name for of, name in RUNS if of == dataset]
    return [
        result
        for name in names
        for result in replicated(dataset, name, 0.7 + gap * rng.normal() + rng.normal(0, 0.004, 5))
    ]


def test_words_are_those_of_holm_and_intervals_agree_with_them():
    """An interval of 95 % beside a Holm-adjusted word once excluded 0 and was called undecided."""
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(6):
        found = compare(verdicts_on(*whole_table(rng)))
        nine = [comparison for key, comparison in found.items() if family(*key) == ("deepglobe", "dice", "systems")]
        plain = [contrast(comparison.differences, 934 / 4358).p for comparison in nine]
        for comparison, p in zip(nine, holm(plain), strict=True):
            assert (comparison.word == "undecided") == (p >= 0.05)
            assert (comparison.contrast.low <= 0 <= comparison.contrast.high) == (comparison.word == "undecided")
            assert (abs(comparison.contrast.mean) > comparison.contrast.smallest) == (comparison.word != "undecided")
            assert 1 <= comparison.divisor <= 9
            seen.add(comparison.word)
        primary = found[key_of(OVER_BASELINE, "dice")]
        assert primary.divisor == 1
    assert seen == {"supported", "contradicted", "undecided"}


def test_two_that_fail_together_are_both_undecided_and_so_are_their_intervals():
    """t = 3.1 with 4 degrees of freedom: p = 0.036, twice that is above 0.05, though 95 % alone would exclude 0."""
    steps = [0.001 * place for place in (-2, -1, 0, 1, 2)]
    stored = [
        *replicated("whu", "RS-SAM", [0.9 + 2 * step for step in steps]),
        *replicated("whu", "SAM Adapter", [0.9 - 0.0022 + step for step in steps]),
        *replicated("whu", "RSAM-Seg", [0.9 - 0.0021 + step for step in steps]),
    ]
    found = compare(verdicts_on(*stored))
    for name in ("SAM Adapter", "RSAM-Seg"):
        comparison = found[key_of(Comparison("whu", "RS-SAM", name), "dice")]
        assert contrast(comparison.differences, 0).low > 0
        assert (comparison.word, comparison.divisor) == ("undecided", 2)
        assert comparison.contrast.low < 0 < comparison.contrast.high


def test_only_tested_comparisons_share_the_five_per_cent():
    stored = [
        *replicated("deepglobe", "RS-SAM", [0.76, 0.761, 0.76, 0.76, 0.761]),
        *replicated("deepglobe", "SAM Adapter", [0.70, 0.7012, 0.70, 0.7, 0.7]),
    ]
    found = compared(*stored, comparison=Comparison("deepglobe", "RS-SAM", "SAM Adapter"))
    assert found.divisor == 1


def imaged(name, images, rng, replicate=0, scenes=None, dice=0.7):
    """A result on named images whose counts vary; with `scenes`, images of one scene have the same counts."""
    units = sorted(set(scenes or images))
    hits = dict(zip(units, rng.integers(400, 900, len(units)), strict=True))
    hit = np.array([[hits[unit]] for unit in (scenes or images)])
    counts = Counts(hit, 1000 - hit, 1000 - hit, np.full_like(hit, 22_000))
    recorded = {"test_scenes": list(scenes)} if scenes else {}
    return made("deepglobe", name, dice, replicate, counts=counts, images=tuple(images), recorded=recorded)


@pytest.mark.parametrize("known", [False, True])
def test_new_images_are_drawn_by_scene_where_scenes_are_known(known):
    """Four equal tiles of a scene are one look at the world: the interval is twice as wide as over images.

    An image's Dice spreads by 500 / sqrt(12) / 1000 = 0.144, the mean of five replicates' differences by sqrt(2/5) of
    that, 0.0913; so 2 x 1.96 x 0.0913 / sqrt(400) = 0.0179 over images, and / sqrt(100) over scenes.
    """
    rng = np.random.default_rng(1)
    images = [f"{number:03d}" for number in range(400)]
    scenes = [f"scene {number // 4}" for number in range(400)]
    stored = []
    for name in ("RS-SAM", "Baseline"):
        results = [imaged(name, images, rng, number, scenes) for number in range(5)]
        if not known:
            for result in results:
                del result.data["test_scenes"]
        stored += results
    found = compared(*stored)
    width = found.imagery.high - found.imagery.low
    assert found.imagery.scenes is known
    assert width == pytest.approx(0.0358 if known else 0.0179, rel=0.1)
    assert found.imagery.low < np.mean(found.differences) < found.imagery.high


def test_replicates_are_scored_on_their_own_images():
    """Test sets overlap: what is drawn are the images of all, and each replicate counts those of its own."""
    rng = np.random.default_rng(2)
    sets = [[f"{number:03d}" for number in range(start, start + 200)] for start in (0, 100, 200, 300, 400)]
    stored = [
        imaged(name, images, rng, number) for name in ("RS-SAM", "Baseline") for number, images in enumerate(sets)
    ]
    found = compared(*stored)
    middle = (found.imagery.low + found.imagery.high) / 2
    assert middle == pytest.approx(np.mean(found.differences), abs=1e-9)


def test_few_scenes_have_no_interval_for_new_images_and_the_reason():
    """Forty tiles of ten scenes once had one, by ten scenes drawn again and again."""
    rng = np.random.default_rng(3)
    images = [f"{number:03d}" for number in range(40)]
    scenes = [f"{number - number % 4:03d}" for number in range(40)]
    stored = [imaged(name, images, rng, number, scenes) for name in ("RS-SAM", "Baseline") for number in range(5)]
    found = compared(*stored).imagery
    assert math.isnan(found.low)
    assert found.why == "10 test scenes with something to score, where an interval takes 20"


def test_rank_agreement_against_counting_pairs():
    dices = {"FCN": 0.70, "UNet": 0.60, "TransUNet": 0.65, "MANet": 0.72}
    found = rank_agreement(verdicts_on(*(made("deepglobe", name, dice) for name, dice in dices.items())))
    printed = [RUNS["deepglobe", name].printed["dice"] for name in dices]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    values = list(dices.values())
    agree = sum(np.sign(values[a] - values[b]) * np.sign(printed[a] - printed[b]) for a, b in pairs)
    (ranking,) = found
    assert (ranking.table, ranking.systems, ranking.rows) == ("table1", 4, 11)
    assert ranking.tau == pytest.approx(agree / 6)


def test_two_systems_have_no_order_worth_telling():
    assert rank_agreement(verdicts_on(made("whu", "FCN", 0.7), made("whu", "UNet", 0.8))) == ()


@pytest.mark.parametrize(
    ("declared", "data", "overlap"),
    [
        ({"split": "folders"}, {}, 0.0),
        ({"split": "lists"}, {}, 0.0),
        ({"split": "ignored"}, {}, 934 / 4358),
        ({}, {}, 934 / 4358),
        ({"name": "whu"}, {}, 0.0),
        ({"name": "whu"}, {"cut_anew": True}, 934 / 4358),
    ],
)
def test_the_overlap_is_that_of_the_split_that_was_used(declared, data, overlap):
    """The class was asked: own data with a published split had the overlap of re-splits, WHU cut anew had none."""
    result = made("deepglobe", "RS-SAM", 0.7, 0)
    dataset = {**result.identity["dataset"], **declared}
    changed = dataclasses.replace(
        result, identity={**result.identity, "dataset": dataset}, data={**result.data, **data}
    )
    assert paired.test_over_train([(changed, changed)]) == overlap
