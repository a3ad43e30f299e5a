"""The jackknife against plain loops over units, and what it refuses to say of few."""

import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from reports.statistics.jackknife import FEWEST_TESTED, FEWEST_UNITS, jackknife_dice, unit_numbers


def random_counts(images, classes=1, seed=0):
    rng = np.random.default_rng(seed)
    return Counts(*rng.integers(0, 1000, (4, images, classes)))


def pooled(counts, kept):
    tp, fp, fn = (getattr(counts, part)[kept].sum(axis=0) for part in ("tp", "fp", "fn"))
    return float(np.mean(2 * tp / (2 * tp + fp + fn)))


@pytest.mark.parametrize("classes", [1, 3])
def test_it_leaves_out_one_scene_at_a_time(classes):
    counts = random_counts(40, classes)
    scenes = [f"scene {index // 2}" for index in range(40)]
    (owner,), units = unit_numbers([scenes])
    estimate = jackknife_dice([counts], [owner], units)[-1]
    expected = [pooled(counts, owner != unit) for unit in range(20)]
    assert estimate.value == pytest.approx(pooled(counts, owner >= 0))
    np.testing.assert_allclose(estimate.without, expected)
    error = math.sqrt(19 / 20 * sum((value - np.mean(expected)) ** 2 for value in expected))
    low, high = estimate.interval()
    assert (low, high) == pytest.approx((estimate.value - 2.0930241 * error, estimate.value + 2.0930241 * error))


def test_replicates_on_other_images_share_units():
    """A unit is left out of every replicate at once; one that a replicate lacks changes nothing there."""
    first, second = random_counts(12, seed=1), random_counts(12, seed=2)
    names = [[f"{index}" for index in range(12)], [f"{index}" for index in range(6, 18)]]
    owners, units = unit_numbers(names)
    assert units == 18
    estimate = jackknife_dice([first, second], owners, units)[-1]
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
    assert all(math.isnan(end) for end in few.interval())
    assert math.isnan(few.p)
    with pytest.raises(ValueError, match="needs the same units, found 30 and 9"):
        same - few
