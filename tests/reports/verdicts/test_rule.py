"""Every verdict against values worked out by hand, and simulated studies in which every number truly replicates."""

import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.claims import RUNS
from benchmarks.protocol.setting import Setting
from reports.select.not_comparable import share_error
from reports.verdicts.rule import judge
from tests.reports.fabricate import MADE_UP, PART, PIXELS
from tests.reports.study import PAPER, collection, made, replicated

STEPS = (-2, -1, 0, 1, 2)


def five(centre, step):
    """Five replicates with variance (2^2 + 1 + 0 + 1 + 2^2) / 4 steps^2 = 2.5 steps^2."""
    return [centre + step * place for place in STEPS]


def verdict(
    dices, *, name="Baseline", dataset="deepglobe", step=0.002, others=("FCN", "UNet"), setting=PAPER, **options
):
    """The verdict on one run, beside others whose replicates have that spread."""
    stored = replicated(dataset, name, dices, setting, **options)
    for other in others:
        stored += replicated(dataset, other, five(RUNS[dataset, other].printed["dice"], step))
    (verdict_set,) = judge(collection(*stored), setting)
    return next(one for one in verdict_set.verdicts if (one.run.dataset, one.run.name) == (dataset, name))


def test_tolerance_by_hand():
    """s = 0.002 sqrt(2.5) = 0.003162, 12 degrees of freedom, t = 2.1788, sqrt(1.2) = 1.0954: T = 0.0080."""
    by_hand = 2.178813 * 0.002 * math.sqrt(2.5) * math.sqrt(1.2) + 0.0005
    assert by_hand == pytest.approx(0.00805, abs=1e-5)
    assert verdict(five(0.703, 0.002)).tolerance == pytest.approx(by_hand, abs=5e-5)  # Dice of whole pixels


@pytest.mark.parametrize(
    ("dices", "text"),
    [
        (five(0.703, 0.002), "reproduced to ±0.008"),
        (five(0.7107, 0.002), "reproduced to ±0.008"),
        (five(0.7113, 0.002), "higher"),
        (five(0.6953, 0.002), "reproduced to ±0.008"),
        (five(0.6947, 0.002), "lower"),
        (five(0.703, 0.010), "undecided"),
        ([0.703], "one run: difference only"),
        ([0.9], "one run: difference only"),
        ([], "not run"),
        ([0.03, 0.70, 0.70, 0.70, 0.70], "not comparable"),
    ],
)
def test_words(dices, text):
    assert verdict(dices).text == text


def test_a_verdict_on_another_chain_than_the_papers_says_so():
    """It was "reproduced to ±0.008" without a word; that of another system stays so."""
    assert verdict(five(0.765, 0.002), name="RS-SAM").text == "reproduced to ±0.008, not the printed model"
    assert verdict([0.765], name="RS-SAM").text == "one run: difference only, not the printed model"
    assert verdict([], name="RS-SAM").text == "not run"


def test_one_run_shows_its_difference_and_no_tolerance():
    found = verdict([0.71])
    assert found.difference == pytest.approx(0.007, abs=1e-4)
    assert found.tolerance is None


def test_two_replicates_have_a_wider_tolerance_than_five():
    """t is 2.262 for 4 + 4 + 1 = 9 degrees of freedom, and 1 + 1/2 for 1 + 1/5."""
    spread = math.sqrt((2 * 10 * 0.002**2 + 2 * 0.001**2) / 9)
    by_hand = 2.262157 * spread * math.sqrt(1.5) + 0.0005
    assert verdict([0.702, 0.704]).tolerance == pytest.approx(by_hand, abs=5e-5)


@pytest.mark.parametrize(
    ("dataset", "name", "cap"), [("deepglobe", "FCN", 0.020), ("whu", "FCN", 0.010), ("whdld", "FCN", 0.010)]
)
def test_a_tolerance_above_the_cap_is_undecided(dataset, name, cap):
    printed = RUNS[dataset, name].printed["dice"]
    per_step = 2.178813 * math.sqrt(2.5) * math.sqrt(1.2)
    for factor, word in ((0.97, "reproduced"), (1.03, "undecided")):
        step = factor * (cap - 0.0005) / per_step
        found = verdict(five(printed, step), name=name, dataset=dataset, step=step, others=("UNet", "HRNet"))
        assert found.word == word
    assert (
        found.why == f"replicates differ too much: ±{found.tolerance:.3f}, where more than ±{cap:.3f} would say little"
    )


@pytest.mark.parametrize(("fewer", "word"), [(0, "reproduced"), (1, "undecided")])
def test_eight_degrees_of_freedom_are_needed(fewer, word):
    found = verdict(five(0.703, 0.002)[fewer:], others=("FCN",))
    assert found.word == word
    if fewer:
        assert found.why == "7 degrees of freedom are too few to know the spread of replicates, 8 are needed"


def test_a_run_that_cannot_be_compared_lends_no_spread():
    """Half a data set's replicates once widened the tolerance of the whole one."""
    stored = [
        *replicated("deepglobe", "Baseline", five(0.703, 0.002)),
        *replicated("deepglobe", "FCN", five(0.649, 0.002)),
        *replicated("deepglobe", "UNet", [0.02, 0.7, 0.7, 0.7, 0.7]),
    ]
    (verdict_set,) = judge(collection(*stored), PAPER)
    assert verdict_set.spreads["deepglobe"].df == 8
    assert verdict_set.spreads["deepglobe"].value == pytest.approx(0.002 * math.sqrt(2.5), abs=2e-5)


SMALL = Setting("mini", "vit_t", "scratch")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"data": PART}, "partial data"),
        ({"data": MADE_UP}, "synthetic data"),
        ({"share": 0.12}, "the test images are 12.00 % foreground, where the paper's tables imply 4.10 to 4.16 %"),
    ],
    ids=["partial", "synthetic", "share"],
)
def test_why_a_run_is_not_comparable(options, why):
    found = verdict(five(0.703, 0.002), others=(), **options)
    assert (found.text, found.why) == ("not comparable", why)


@pytest.mark.parametrize(
    ("setting", "name", "why"),
    [
        (Setting("fair"), "Baseline", "the recipe is fair, not the paper's"),
        (Setting("mini"), "Baseline", "the recipe is mini, not the paper's"),
        (
            Setting("smoke"),
            "Baseline",
            "the smoke profile proves the wiring, claims nothing; trained from scratch, without the pretrained "
            "weights; another encoder than the paper's",
        ),
        (Setting("paper", init="scratch"), "Baseline", "trained from scratch, without the pretrained weights"),
        (Setting("paper", encoder="vit_l"), "Baseline", "another encoder than the paper's"),
        (SMALL, "UNet", "the recipe is mini, not the paper's; smaller variants than the paper's"),
        (Setting("paper", split="blocked"), "Baseline", "split by scenes, which the paper does not do"),
    ],
)
def test_another_way_of_training_is_not_comparable(setting, name, why):
    found = verdict(five(0.703, 0.002), name=name, setting=setting, others=())
    assert (found.text, found.why) == ("not comparable", why)


def test_collapsed_replicates_are_counted_and_give_no_mean():
    found = verdict([0.03, 0.70, 0.70, 0.70, 0.02])
    assert found.why == "collapsed: 2 of 5 not above the constant answer"
    assert found.mean is None


def test_a_changed_official_split():
    found = verdict([0.8, 0.8], name="FCN", dataset="whu", others=(), recorded={"test": 2000})
    assert found.why == "the official split was changed: 4736 / 1036 / 2000 images in place of 4736 / 1036 / 2416"


def test_of_a_part_neither_size_nor_share_is_a_second_reason():
    """Eight images of a smoke run were once called a changed official split."""
    smoke = Setting("smoke")
    recorded = {"train": 8, "val": 8, "test": 8}
    for options in ({"setting": smoke}, {"data": PART}):
        found = verdict([0.8], name="FCN", dataset="whu", others=(), share=0.3, recorded=recorded, **options)
        assert "official split" not in found.why
        assert "foreground" not in found.why


def varied(share, deviation, images=934):
    """Counts of images whose shares of foreground differ; half of it found."""
    shares = share + deviation * np.where(np.arange(images) % 2, 1, -1)
    positive = np.round(shares * PIXELS).astype(np.int64)[:, None]
    hit = positive * 7 // 10
    return Counts(hit, positive - hit, positive - hit, PIXELS - 2 * positive + hit)


def test_a_random_split_may_differ_in_its_share_by_chance_and_no_more():
    """Shares 3 % apart alternate: 1.5 % / sqrt(934) = 0.049 %, three of that times sqrt(2) for one split 0.208 %."""
    for share, word in ((0.0450, "not comparable"), (0.0435, "one run")):
        one = made("deepglobe", "Baseline", 0.7, counts=varied(share, 0.015), images=tuple(map(str, range(934))))
        (verdict_set,) = judge(collection(one), PAPER)
        assert next(v for v in verdict_set.verdicts if v.run.name == "Baseline").word == word
    assert share_error([one]) == pytest.approx(0.015 / math.sqrt(933), rel=0.01)


def test_the_error_of_a_share_against_resampling():
    rng = np.random.default_rng(0)
    positive = rng.integers(0, 40, (200, 1))
    counts = Counts(positive, np.zeros_like(positive), np.zeros_like(positive), 400 - positive)
    drawn = [positive[rng.integers(0, 200, 200)].sum() / (200 * 400) for _ in range(4000)]
    result = made("deepglobe", "Baseline", 0.7, counts=counts, images=tuple(map(str, range(200))))
    assert share_error([result]) == pytest.approx(np.std(drawn), rel=0.05)


def test_settings_and_owners_are_judged_apart():
    stored = [made("deepglobe", "FCN", 0.65), made("deepglobe", "FCN", 0.5, setting=Setting("mini"))]
    (paper,), (mini,) = (judge(collection(*stored), setting) for setting in (PAPER, Setting("mini")))
    words = [next(v.word for v in one.verdicts if v.run.name == "FCN") for one in (paper, mini)]
    assert words == ["one run", "not comparable"]


def test_the_whole_data_set_is_judged_where_there_is_a_part_too():
    stored = [made("deepglobe", "FCN", 0.65), *replicated("deepglobe", "UNet", [0.5] * 3, data=PART)]
    (verdict_set,) = judge(collection(*stored), PAPER)
    words = {one.run.name: one.word for one in verdict_set.verdicts if one.run.dataset == "deepglobe"}
    assert (words["FCN"], words["UNet"]) == ("one run", "not run")
    assert verdict_set.passed_over == (
        "3 results on deepglobe with other data or precision (partial: 36 pairs of 6226 known, bf16-mixed) stand in "
        "the tables and are not judged here",
    )


def study(rng, shift=0.0):
    """The paper's run and five of ours from the same distribution, for each of the 39 numbers."""
    spreads = {"deepglobe": 0.004, "whu": 0.002, "whdld": 0.002}
    stored = []
    for (dataset, name), run in RUNS.items():
        true = run.printed["dice"] + rng.normal(0, spreads[dataset]) + shift
        stored += replicated(dataset, name, true + rng.normal(0, spreads[dataset], 5))
    (verdict_set,) = judge(collection(*stored), PAPER)
    assert len(verdict_set.decided) == 39
    return verdict_set


def test_of_true_replications_about_two_of_39_lie_outside():
    """Six studies, 234 verdicts: 11.7 expected outside, standard deviation 3.3."""
    rng = np.random.default_rng(20)
    verdict_sets = [study(rng) for _ in range(6)]
    assert 3 <= sum(len(one.outside) for one in verdict_sets) <= 21
    assert verdict_sets[0].expected_outside == pytest.approx(1.95)


def test_numbers_that_are_off_lie_outside():
    verdict_set = study(np.random.default_rng(0), shift=0.03)
    assert all(one.word == "higher" for one in verdict_set.verdicts)
