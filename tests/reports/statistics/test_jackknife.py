"""The jackknife against plain loops over units, and what it refuses to say of few."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from reports.statistics.jackknife import FEWEST_TESTED, FEWEST_UNITS, jackknife_dice
from reports.statistics.units import dice_interval, number_units
from tests.reports.fabricate import fabricate, row_run


def random_counts(images, classes=1, seed=0):
    rng = np.random.default_rng(seed)
    return Counts(*rng.integers(0, 1000, (4, images, classes)))


def pooled(counts, kept):
    tp, fp, fn = (getattr(counts, part)[kept].sum(axis=0) for part in ("tp", "fp", "fn"))
    return float(np.mean(2 * tp / (2 * tp + fp + fn)))


@pytest.mark.parametrize("classes", [1, 3])
def test_it_leaves_out_one_scene_at_a_time(classes):
    counts = random_counts(40, classes)
    owner = np.arange(40) // 2
    estimate = jackknife_dice([counts], [owner], 20)[-1]
    expected = [pooled(counts, owner != unit) for unit in range(20)]
    assert estimate.value == pytest.approx(pooled(counts, owner >= 0))
    np.testing.assert_allclose(estimate.without, expected)
    error = math.sqrt(19 / 20 * sum((value - np.mean(expected)) ** 2 for value in expected))
    low, high = estimate.interval
    assert (low, high) == pytest.approx((estimate.value - 2.0930241 * error, estimate.value + 2.0930241 * error))


def test_replicates_on_other_images_share_units():
    """A unit is left out of every replicate at once; one that a replicate lacks changes nothing there."""
    first, second = random_counts(12, seed=1), random_counts(12, seed=2)
    owners = [np.arange(12), np.arange(6, 18)]
    estimate = jackknife_dice([first, second], owners, 18)[-1]
    assert estimate.units == 18
    for unit in range(18):
        parts = [pooled(counts, owner != unit) for counts, owner in zip((first, second), owners, strict=True)]
        assert estimate.without[unit] == pytest.approx(np.mean(parts))


def test_equal_systems_differ_by_nothing_and_few_units_say_nothing():
    owner = np.arange(FEWEST_TESTED)
    same = jackknife_dice([random_counts(FEWEST_TESTED)], [owner], FEWEST_TESTED)[-1]
    assert (same - same).p == 1.0
    other = jackknife_dice([random_counts(FEWEST_TESTED, seed=5)], [owner], FEWEST_TESTED)[-1]
    assert 0 < (same - other).p < 1
    few = jackknife_dice([random_counts(FEWEST_UNITS - 1)], [np.arange(FEWEST_UNITS - 1)], FEWEST_UNITS - 1)[-1]
    assert all(math.isnan(end) for end in few.interval)
    assert math.isnan(few.p)
    with pytest.raises(ValueError, match="needs the same units, found 30 and 19"):
        same - few


def counted(images, scenes=None, empty=0, seed=0):
    """A result on these many images, the first `empty` of them without anything to score."""
    counts = random_counts(images, seed=seed)
    for part in (counts.tp, counts.fp, counts.fn):
        part[:empty] = 0
    made = fabricate(row_run(0), counts=counts, images=tuple(f"{index:03d}" for index in range(images)))
    return made if scenes is None else replace(made, data={**made.data, "test_scenes": scenes})


def test_a_unit_is_the_recorded_scene():
    """Forty tiles of twenty scenes once counted as forty units."""
    scenes = [f"{index - index % 2:03d}" for index in range(40)]
    found = dice_interval(counted(40, scenes))
    assert (found.units, found.scenes, found.why) == ("20 test scenes", True, "")
    assert (found.low, found.high) == jackknife_dice([random_counts(40)], [np.arange(40) // 2], 20)[-1].interval
    assert dice_interval(counted(40)).units == "40 test images"


def test_a_scene_that_one_result_recorded_holds_for_another():
    """Paired with a result of an earlier version, which records none, tiles would be units on one side alone."""
    scenes = [f"{index - index % 2:03d}" for index in range(40)]
    units = number_units([counted(40), counted(40, scenes)])
    assert (units.count, units.scenes) == (20, True)
    odd = number_units([counted(40, ["one"]), counted(40, "no list")])
    assert (odd.count, odd.scenes) == (40, False)


@pytest.mark.parametrize(
    ("images", "scenes", "empty", "why"),
    [
        (FEWEST_UNITS - 1, None, 0, "19 test images with something to score, where an interval takes 20"),
        (40, [f"{index // 4}" for index in range(40)], 0, "10 test scenes with something to score, where an interval"),
        (40, None, 25, "15 test images with something to score, where an interval takes 20"),
    ],
    ids=["few images", "few scenes", "few that hold anything"],
)
def test_too_few_units_have_no_interval_and_the_reason(images, scenes, empty, why):
    """Eight images once had one in a table; fifteen with something to score among forty would be taken for forty."""
    found = dice_interval(counted(images, scenes, empty))
    assert math.isnan(found.low)
    assert found.why.startswith(why)


def spread(sizes, seed=0):
    """Sums of scenes with these many tiles each, whose recall differs."""
    truth = 1000 * np.repeat(1, sum(sizes))
    hit = (truth * np.clip(np.random.default_rng(seed).normal(0.7, 0.1, sum(sizes)), 0, 1)).astype(np.int64)
    part = (truth - hit)[:, None]
    return Counts(hit[:, None], part, part, part), np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize(
    ("sizes", "effective", "why"),
    [
        ([5] * 20, 20, ""),
        ([40] * 5 + [3] * 35, 11.2, ""),
        ([100] * 2 + [2] * 18, 2.8, "20 test scenes, but so unequal that they tell as much as 2 equal ones, where an "
                                    "interval takes 8"),
        ([500] + [1] * 19, 1.1, "20 test scenes, but so unequal that they tell as much as 1 equal one, where an "
                                "interval takes 8"),
    ],
)  # fmt: skip
def test_scenes_of_very_unequal_size_have_no_interval(sizes, effective, why):
    """By hand (sum of tiles)^2 / sum of tiles^2. Intervals of the last two held the truth in 0.82 and 0.85 of cases."""
    counts, owner = spread(sizes)
    estimate = jackknife_dice([counts], [owner], len(sizes))[-1]
    assert estimate.effective == pytest.approx(sum(sizes) ** 2 / sum(size**2 for size in sizes), rel=0.05)
    assert estimate.effective == pytest.approx(effective, rel=0.05)
    images = tuple(f"{index:04d}" for index in range(len(owner)))
    made = fabricate(row_run(0), counts=counts, images=images)
    found = dice_interval(replace(made, data={**made.data, "test_scenes": [f"scene {unit}" for unit in owner]}))
    assert found.why == why
    assert math.isnan(found.low) == bool(why)


def test_one_image_with_all_of_the_truth_is_one_unit():
    """With a false pixel in each of 29 others the interval was 0.0 to 1.0, of "30 test images"."""
    alone = np.eye(30, 1, dtype=np.int64)
    counts = Counts(500 * alone, 1 - alone, 100 * alone, 1000 - alone)
    found = dice_interval(fabricate(row_run(0), counts=counts, images=tuple(map(str, range(30)))))
    assert found.why.startswith("30 test images, but so unequal that they tell as much as 1 equal one, where")


def test_unequal_units_are_not_tested():
    """Two of 100 tiles and 28 of 2, of which 30 were enough: a p was given."""
    sizes = [100] * 2 + [2] * 28
    first, second = (
        jackknife_dice([counts], [owner], 30)[-1] for counts, owner in (spread(sizes), spread(sizes, seed=1))
    )
    assert math.isnan((first - second).p)


def test_units_that_are_all_alike_show_no_spread():
    """Twenty equal images had an interval of zero width, and a constant difference of 30 a p of 0."""
    like = np.ones((FEWEST_TESTED, 1), dtype=np.int64)
    better, worse = (Counts(hit * like, like, like, like) for hit in (900, 700))
    images = tuple(map(str, range(FEWEST_TESTED)))
    found = dice_interval(fabricate(row_run(0), counts=better, images=images))
    assert (math.isnan(found.low), found.why) == (True, "30 test images, all alike, so they show no spread")
    higher, other = (
        jackknife_dice([counts], [np.arange(FEWEST_TESTED)], FEWEST_TESTED)[-1] for counts in (better, worse)
    )
    assert math.isnan((higher - other).p)
    assert all(math.isnan(end) for end in (higher - other).interval)


def test_an_interval_of_a_score_stays_within_0_and_1_and_that_of_a_difference_does_not():
    counts = random_counts(FEWEST_UNITS)
    part = np.zeros_like(counts.tp)
    part[0] = 3_000
    nearly = jackknife_dice([Counts(counts.tp, part, part, counts.tn)], [np.arange(FEWEST_UNITS)], FEWEST_UNITS)[-1]
    assert nearly.interval[1] == 1.0
    assert (jackknife_dice([counts], [np.arange(FEWEST_UNITS)], FEWEST_UNITS)[-1] - nearly).interval[0] < 0
