"""The rule that chooses images, against plain loops."""

import math

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from reports.statistics.per_image import image_dice, typical_images


def counts(tp, fp, fn, tn=1000):
    parts = [np.array(part, dtype=np.int64) for part in (tp, fp, fn)]
    parts = [part[:, None] if part.ndim == 1 else part for part in parts]
    return Counts(*parts, np.full_like(parts[0], tn))


def random_counts(rng, images, classes):
    return Counts(*(rng.integers(0, 4, (images, classes)) * rng.integers(0, 50, (images, classes)) for _ in range(4)))


def loop_dice(counts):
    found = []
    for image in range(counts.images):
        values = []
        for number in range(counts.classes):
            tp, fp, fn = (int(part[image, number]) for part in (counts.tp, counts.fp, counts.fn))
            if tp + fp + fn:
                values.append(2 * tp / (2 * tp + fp + fn))
        found.append(sum(values) / len(values) if values else math.nan)
    return found


@pytest.mark.parametrize("classes", [1, 6])
def test_dice_of_each_image_against_a_loop(classes):
    counts = random_counts(np.random.default_rng(0), 50, classes)
    assert image_dice(counts) == pytest.approx(loop_dice(counts), nan_ok=True)


@pytest.mark.parametrize("images", [9, 10])
@pytest.mark.parametrize("classes", [1, 6])
def test_nearest_the_median_against_a_loop(classes, images):
    rng = np.random.default_rng(images)
    truth = rng.integers(0, 3, (images, classes)) * 40
    names = [f"image{number}" for number in rng.permutation(images)]

    def system():
        tp = rng.integers(0, truth + 1)
        return Counts(tp, rng.integers(0, 30, truth.shape), truth - tp, np.full_like(truth, 900))

    ours, reference = system(), system()
    differences = {}
    for name, first, second, real in zip(names, loop_dice(ours), loop_dice(reference), truth, strict=True):
        if real.sum() > 0:
            differences[name] = first - second
    middle = sorted(differences.values())
    half = len(middle) // 2
    median = middle[half] if len(middle) % 2 else (middle[half - 1] + middle[half]) / 2
    expected = sorted(differences, key=lambda name: (round(abs(differences[name] - median), 12), name))

    chosen, found = typical_images(names, ours, reference)
    assert found == pytest.approx(median)
    assert list(chosen) == expected
    assert len(chosen) < images or truth.sum(axis=1).all()


def test_ties_stand_in_the_order_of_their_names():
    ours = counts([60, 50, 40, 50], [40] * 4, [40, 50, 60, 50])
    chosen, median = typical_images(["d", "c", "b", "a"], ours, ours)
    assert (chosen, median) == (("a", "b", "c", "d"), 0.0)


def test_two_images_on_either_side_of_an_even_median_are_equally_near():
    ours = counts([10, 20, 30, 90], [0] * 4, [90, 80, 70, 10])
    reference = counts([0] * 4, [0] * 4, [100] * 4)
    chosen, _ = typical_images(["z", "y", "x", "w"], ours, reference)
    assert chosen[:2] == ("x", "y")


def test_an_image_without_foreground_is_never_chosen():
    ours = counts([50, 0, 0], [0, 7, 0], [50, 0, 0])
    assert typical_images(["a", "empty", "black"], ours, ours)[0] == ("a",)


def test_nothing_labelled_anywhere():
    empty = counts([0], [0], [0])
    chosen, median = typical_images(["a"], empty, empty)
    assert chosen == ()
    assert math.isnan(median)
