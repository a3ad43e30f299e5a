"""Choose the test images that a figure shows, by a rule on stored counts instead of by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.metrics.counts import Counts, FloatArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.jackknife import mean_over_classes


def image_dice(counts: Counts) -> FloatArray:
    """Return Dice of every image by itself, float [images]: the mean over the classes in its truth or its prediction.

    NaN for an image with no class in either.
    """
    doubled = 2 * counts.tp  # [images, classes]
    return mean_over_classes(quotient(doubled, doubled + counts.fp + counts.fn))


def typical_images(images: Sequence[str], ours: Counts, reference: Counts) -> tuple[tuple[str, ...], float]:
    """Return all images by the distance of their Dice difference (ours less reference) from its median, and the median.

    Ties stand in the order of their names. Images whose truth holds no class are left out: their Dice is 0 or
    undefined, whatever a system does. The median is NaN if no image is left.
    """
    difference = image_dice(ours) - image_dice(reference)
    has_truth = (ours.tp + ours.fn).sum(axis=1) > 0
    if not has_truth.any():
        return (), float("nan")
    median = float(np.median(difference[has_truth]))
    # Two images on either side of an even median are equally near, but for the last bits.
    distance = np.abs(difference - median).round(12)
    ordered = sorted(np.flatnonzero(has_truth).tolist(), key=lambda index: (distance[index], images[index]))
    return tuple(images[index] for index in ordered), median
