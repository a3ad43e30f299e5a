"""Relaxed scores against their definition: lines moved by known distances, a loop, distances by SciPy."""

import math

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.metrics.mask_pair import MaskPair
from benchmarks.metrics.relaxed_f1 import RelaxedF1, two_sided
from tests.benchmarks.masks import blank, changed, line, roads


def f1(truth, prediction, buffer=3):
    metric = RelaxedF1(buffer)
    return float(metric.scores(np.array(metric.sums(MaskPair(truth, prediction)), float))["relaxed_f1"])


@pytest.mark.parametrize(("moved", "score"), [(0, 1), (3, 1), (4, 0)])
def test_a_line_moved_within_the_buffer_is_right_and_one_beyond_it_wrong(moved, score):
    assert f1(line(30), line(30 + moved)) == score


def test_a_broken_line_costs_the_gap_less_its_margins():
    truth, broken = line(first=10, last=89), line(first=10, last=89)
    broken[:, 40:60] = False  # 20 pixels, of which 3 at either side are near what is left
    assert RelaxedF1().sums(MaskPair(truth, broken)) == (60, 60, 66, 80)
    assert f1(truth, broken) == pytest.approx(2 * 66 / 80 / (1 + 66 / 80))


def test_corners_of_the_buffer_are_not_in_it():
    truth, prediction = blank(), blank()
    truth[30, 30] = prediction[33, 33] = True  # 4.24 pixels apart
    assert f1(truth, prediction) == 0
    assert f1(truth, prediction, buffer=5) == 1


def test_nothing_predicted_nothing_there_and_neither():
    assert f1(line(), blank()) == 0
    assert f1(blank(), line()) == 0
    assert math.isnan(f1(blank(), blank()))
    scores = RelaxedF1().scores(np.array(RelaxedF1().sums(MaskPair(line(), blank())), float))
    assert math.isnan(scores["relaxed_precision"])
    assert scores["relaxed_recall"] == 0


@pytest.mark.parametrize("buffer", [0, 1, 3, 7])
def test_sums_equal_a_loop_and_distances(buffer):
    truth = roads(1, 40)
    prediction = changed(truth, 2)
    expected = [0, 0, 0, 0]
    there = {True: np.argwhere(truth), False: np.argwhere(prediction)}
    for at, points, others in ((0, there[False], there[True]), (2, there[True], there[False])):
        for row, column in points:
            near = any((row - r) ** 2 + (column - c) ** 2 <= buffer**2 for r, c in others)
            expected[at] += near
            expected[at + 1] += 1
    assert RelaxedF1(buffer).sums(MaskPair(truth, prediction)) == tuple(expected)
    near = ndimage.distance_transform_edt(~truth) <= buffer
    assert expected[0] == int((prediction & near).sum())


def test_no_buffer_gives_dice_precision_and_recall():
    truth = roads(3)
    prediction = changed(truth, 4)
    hits = int((truth & prediction).sum())
    dice = 2 * hits / (truth.sum() + prediction.sum())
    assert f1(truth, prediction, buffer=0) == pytest.approx(dice)


def test_f1_is_symmetric_and_does_not_change_with_flips():
    truth = roads(5)
    prediction = changed(truth, 6)
    assert f1(truth, prediction) == pytest.approx(f1(prediction, truth))
    for axis in (0, 1):
        assert f1(np.flip(truth, axis), np.flip(prediction, axis)) == f1(truth, prediction)


def test_shares_of_many_sums_at_once():
    sums = np.array([[1, 2, 3, 4], [0, 0, 0, 5], [0, 0, 0, 0]], float)
    first, second, mean = two_sided(sums)
    assert first[0] == 0.5
    assert second[0] == 0.75
    assert mean[0] == pytest.approx(0.6)
    assert mean[1] == 0
    assert np.isnan(first[1:]).all()
    assert math.isnan(mean[2])
