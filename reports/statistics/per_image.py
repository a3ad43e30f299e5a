"""Which test images a figure shows: a rule on stored counts, so that nobody picks them by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.metrics.counts import Counts, FloatArray
from benchmarks.metrics.quotient import quotient


def image_dice(counts: Counts) -> FloatArray:
    """Dice of every image by itself, float [images]: the mean over the classes in its truth or its prediction.

    NaN for an image with no class in either.
    """
    doubled = 2 * counts.tp.astype(np.float64)  # [images, classes]
    total = doubled + counts.fp + counts.fn
    present = total > 0
    per_class = np.divide(doubled, total, out=np.zeros_like(total), where=present)
    sums, numbers = per_class.sum(axis=1), present.sum(axis=1)
    return quotient(sums, numbers)


def typical_images(images: Sequence[str], ours: Counts, reference: Counts) -> tuple[tuple[str, ...], float]:
    """All images by the distance of their Dice difference (ours less reference) from its median, and that median.

    Ties stand in the order of their names. Images whose truth holds no class are left out: their Dice is 0 or
    undefined, whatever a system does. The median is NaN if no image is left.
    """
    difference = image_dice(ours) - image_dice(reference)
    told = (ours.tp + ours.fn).sum(axis=1) > 0
    if not told.any():
        return (), float("nan")
    median = float(np.median(difference[told]))
    # Two images on either side of an even median are equally near, but for the last bits.
    distance = np.abs(difference - median).round(12)
    ordered = sorted(np.flatnonzero(told).tolist(), key=lambda index: (distance[index], images[index]))
    return tuple(images[index] for index in ordered), median
