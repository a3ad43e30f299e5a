"""clDice against its definition, from skeletons that are known, and as a loop over pixels."""

import math

import numpy as np
import pytest
from skimage.morphology import skeletonize

from benchmarks.metrics.cldice import ClDice
from benchmarks.metrics.mask_pair import MaskPair
from tests.benchmarks.masks import blank, changed, line, roads


def cldice(truth, prediction):
    metric = ClDice()
    return float(metric.scores(np.array(metric.sums(MaskPair(truth, prediction)), float))["cldice"])


def test_a_road_moved_by_less_than_half_its_width_keeps_its_centre_lines():
    road = line(30, thick=5)
    assert cldice(road, road) == 1
    assert 0.98 < cldice(road, line(32, thick=5)) < 1  # thinning bends the ends of a road to one of its corners
    assert cldice(road, line(33, thick=5)) < 0.05


def test_width_costs_no_more_than_bent_ends():
    wide, thin = line(30, 0, 95, thick=9), line(30, 0, 95)
    bent = int((skeletonize(wide) & ~thin).sum())
    assert 0 < bent < 9
    assert ClDice().sums(MaskPair(wide, thin)) == (96, 96, int(skeletonize(wide).sum()) - bent, skeletonize(wide).sum())
    assert ClDice().sums(MaskPair(thin, wide))[:2] == ClDice().sums(MaskPair(wide, thin))[2:]


def test_a_broken_line_costs_sensitivity_alone():
    truth, broken = line(first=10, last=89), line(first=10, last=89)
    broken[:, 40:60] = False
    assert ClDice().sums(MaskPair(truth, broken)) == (60, 60, 60, 80)
    assert cldice(truth, broken) == pytest.approx(2 * 0.75 / 1.75)


def test_nothing_predicted_nothing_there_and_neither():
    assert cldice(line(), blank()) == 0
    assert cldice(blank(), line()) == 0
    assert math.isnan(cldice(blank(), blank()))


@pytest.mark.parametrize("seed", [1, 2])
def test_sums_equal_a_loop(seed):
    truth = roads(seed)
    prediction = changed(truth, seed)
    thin, thin_truth = skeletonize(prediction), skeletonize(truth)
    expected = [0, 0, 0, 0]
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            expected[0] += thin[row, column] and truth[row, column]
            expected[1] += thin[row, column]
            expected[2] += thin_truth[row, column] and prediction[row, column]
            expected[3] += thin_truth[row, column]
    assert ClDice().sums(MaskPair(truth, prediction)) == tuple(int(value) for value in expected)
    assert 0 < expected[2] < expected[3]


def test_symmetric_and_unchanged_by_flips_where_thinning_is():
    truth, prediction = roads(3), changed(roads(3), 3)
    assert cldice(truth, prediction) == pytest.approx(cldice(prediction, truth))
    lines, broken = line(), line()
    broken[:, 50:53] = False
    for axis in (0, 1):
        assert cldice(np.flip(lines, axis), np.flip(broken, axis)) == cldice(lines, broken)
        # thinning takes corners in an order of its own, so that wide roads may differ by a pixel
        flipped = cldice(np.flip(truth, axis), np.flip(prediction, axis))
        assert flipped == pytest.approx(cldice(truth, prediction), abs=0.02)
