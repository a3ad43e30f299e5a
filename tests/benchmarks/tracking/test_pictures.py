"""Strips show what they say."""

import numpy as np
from PIL import Image

from benchmarks.tracking.pictures import FOREGROUND, draw_curves, strip


def test_a_strip_has_image_truth_and_prediction_below_each_other():
    """White was drawn for the roads of bright roofs: nobody saw them."""
    images = np.full((2, 3, 8, 8), 255, np.uint8)
    truth, predicted = np.zeros((2, 2, 8, 8), np.uint8)
    truth[0, :4], predicted[1, 4:] = 1, 1
    truth[0, 7, 7] = 255  # ignored
    picture = strip(images, truth, predicted, ((255, 255, 255),))
    veiled = np.rint(0.4 * 255 + 0.6 * np.array(FOREGROUND)).astype(np.uint8)
    assert picture.shape == (24, 16, 3)
    coloured = (picture == veiled).all(axis=-1)
    expected = np.zeros((24, 16), bool)
    expected[8:12, :8], expected[20:24, 8:] = True, True
    assert (coloured == expected).all()
    assert (picture[~expected] == 255).all()


def test_a_strip_of_large_images_is_small_and_has_the_colours_of_classes():
    images, labels = np.zeros((1, 3, 512, 512), np.uint8), np.ones((1, 512, 512), np.uint8)
    picture = strip(images, labels, 0 * labels, ((200, 0, 0), (0, 100, 0)))
    assert picture.shape == (3 * 171, 171, 3)
    assert [tuple(picture[row, 0]) for row in (0, 171, 342)] == [(0, 0, 0), (0, 60, 0), (120, 0, 0)]


def test_curves_are_a_picture(tmp_path):
    history = [{"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 2 / epoch, "rate": 0.1} for epoch in (1.0, 2.0)]
    draw_curves(history, 2, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (900, 320)
