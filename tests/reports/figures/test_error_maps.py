"""Colours pixel by pixel, and what counts as a change."""

import numpy as np
import pytest

from reports.figures.error_maps import (
    BACKGROUND,
    HIT,
    INVENTED,
    MISSED,
    UNLABELLED,
    class_picture,
    error_picture,
    largest_changes,
    prediction_picture,
)

WHITE = ((255, 255, 255),)
LAND = ((255, 0, 0), (255, 255, 0), (0, 0, 255))


def array(*rows):
    return np.array(rows, dtype=np.uint8)


def test_errors_of_a_binary_prediction():
    picture = error_picture(array([0, 0, 1, 1, 255]), array([0, 1, 0, 1, 1]))
    assert [tuple(pixel) for pixel in picture[0].tolist()] == [BACKGROUND, INVENTED, MISSED, HIT, UNLABELLED]


def test_a_two_by_two_example():
    picture = prediction_picture(array([1, 0], [1, 0]), array([1, 1], [0, 0]), WHITE)
    assert picture.shape == (2, 2, 3)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[list(HIT), list(INVENTED)], [list(MISSED), list(BACKGROUND)]]


def test_truth_of_one_class_is_white_on_black():
    truth = array([1, 0], [0, 1])
    assert prediction_picture(truth, truth, WHITE).tolist() == [
        [[255, 255, 255], [0, 0, 0]],
        [[0, 0, 0], [255, 255, 255]],
    ]


def test_several_classes_have_the_palettes_colours_in_truth_and_prediction():
    labels = array([0, 1], [2, 255])
    expected = [[[255, 0, 0], [255, 255, 0]], [[0, 0, 255], list(UNLABELLED)]]
    for picture in (class_picture(labels, LAND), prediction_picture(labels, labels, LAND)):
        assert picture.tolist() == expected
    assert prediction_picture(array([2, 2], [2, 2]), labels, LAND).tolist() == expected


def brightness(colour):
    """Relative luminance in 0..1 (WCAG)."""
    linear = [(part / 255 / 12.92) if part / 255 <= 0.04 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("pair", [(MISSED, INVENTED), (MISSED, BACKGROUND), (INVENTED, BACKGROUND), (INVENTED, HIT)])
def test_what_must_be_told_apart_differs_in_brightness_too(pair):
    lighter, darker = sorted(map(brightness, pair), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) > 1.6


class TestChanges:
    """A field of 40 x 60 background pixels."""

    truth = np.zeros((40, 60), np.uint8)

    def field(self, *boxes):
        labels = self.truth.copy()
        for rows, columns in boxes:
            labels[slice(*rows), slice(*columns)] = 1
        return labels

    def test_the_largest_come_first_with_the_circle_around_their_boxes(self):
        before = self.field(((2, 6), (2, 6)), ((10, 20), (30, 54)))
        after = self.field(((30, 36), (10, 15)))
        first, second, third = largest_changes(self.truth, before, after, 5)
        assert (first.row, first.column, first.area, first.better) == (14.5, 41.5, 240, True)
        assert first.radius == pytest.approx(13.0)  # half of the diagonal of 10 x 24
        assert (second.row, second.column, second.area, second.better) == (32.5, 12.0, 30, False)
        assert (third.row, third.column, third.area) == (3.5, 3.5, 16)
        assert largest_changes(self.truth, before, after, 1) == [first]

    def test_edges_that_moved_by_two_pixels_are_no_change(self):
        before, after = self.field(((10, 30), (10, 30))), self.field(((12, 32), (10, 30)))
        assert largest_changes(self.truth, before, after, 5) == []

    def test_equal_predictions_and_unlabelled_pixels_give_none(self):
        labels = self.field(((5, 15), (5, 15)))
        assert largest_changes(self.truth, labels, labels, 5) == []
        ignored = np.full_like(self.truth, 255)
        assert largest_changes(ignored, labels, self.truth, 5) == []

    def test_parts_that_touch_by_a_corner_are_one(self):
        before = self.field(((0, 5), (0, 5)), ((5, 10), (5, 10)))
        (change,) = largest_changes(self.truth, before, self.truth, 5)
        assert change.area == 50

    def test_wrong_both_times_is_no_change(self):
        truth, before, after = (np.full((9, 9), label, np.uint8) for label in (0, 1, 2))
        assert largest_changes(truth, before, after, 5) == []
