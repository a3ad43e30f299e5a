"""Boundary IoU against its definition: squares whose frames can be counted, distances, and a loop."""

import math

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.metrics.boundary_iou import BoundaryIou, boundary
from benchmarks.metrics.mask_pair import MaskPair
from tests.benchmarks.masks import blank, changed, roofs


def square(top, left, side, size=100):
    mask = blank(size, size)
    mask[top : top + side, left : left + side] = True
    return mask


def score(truth, prediction, width=0.02):
    metric = BoundaryIou(width)
    return float(metric.scores(np.array(metric.sums(MaskPair(truth, prediction)), float))["boundary_iou"])


def test_the_width_is_two_per_cent_of_the_diagonal_and_at_least_one():
    assert BoundaryIou().pixels((512, 512)) == 14  # 14.48
    assert BoundaryIou().pixels((100, 100)) == 3  # 2.83
    assert BoundaryIou().pixels((16, 16)) == 1


def test_frames_of_squares():
    assert int(boundary(square(20, 20, 40), 3).sum()) == 40**2 - 34**2
    smaller, larger = square(20, 20, 40), square(19, 19, 42)
    both = 40**2 - 36**2  # the larger one's frame of 3 reaches 2 pixels into the smaller
    either = (40**2 - 34**2) + (42**2 - 36**2) - both
    assert BoundaryIou().sums(MaskPair(smaller, larger)) == (both, either)


def test_where_the_border_cuts_a_mask_the_cut_is_boundary():
    assert boundary(np.ones((100, 100), bool), 3).sum() == 100**2 - 94**2


@pytest.mark.parametrize("pixels", [1, 2, 5])
def test_equals_distances_and_a_loop(pixels):
    mask = roofs(pixels)
    away = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    found = boundary(mask, pixels)
    assert np.array_equal(found, mask & (away <= pixels))
    side = mask.shape[0]
    for row, column in np.ndindex(mask.shape):
        window = [
            0 <= r < side and 0 <= c < side and mask[r, c]
            for r in range(row - pixels, row + pixels + 1)
            for c in range(column - pixels, column + pixels + 1)
        ]
        assert found[row, column] == (mask[row, column] and not all(window))


def test_identical_apart_empty_and_neither():
    assert score(square(20, 20, 40), square(20, 20, 40)) == 1
    assert score(square(5, 5, 20), square(60, 60, 20)) == 0
    assert score(square(5, 5, 20), blank(100, 100)) == 0
    assert score(blank(100, 100), square(5, 5, 20)) == 0
    assert math.isnan(score(blank(), blank()))


def test_the_same_error_of_an_outline_costs_more_than_in_iou():
    truth, moved = square(20, 20, 60), square(20, 22, 60)
    assert score(truth, moved) < (truth & moved).sum() / (truth | moved).sum()


def test_symmetric_and_unchanged_by_flips():
    truth = roofs(7)
    prediction = changed(truth, 8)
    assert score(truth, prediction) == score(prediction, truth)
    for axis in (0, 1):
        assert score(np.flip(truth, axis), np.flip(prediction, axis)) == score(truth, prediction)
