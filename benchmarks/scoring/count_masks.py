"""Count masks in memory, pixel by pixel, as the test of a run counts its predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.metrics.confusion import confusion_matrix, counts_of
from benchmarks.metrics.counts import Counts
from rssam.contract import IGNORE, Task


def count_masks(
    truths: Sequence[NDArray[np.generic]],
    predictions: Sequence[NDArray[np.generic]],
    classes: int = 1,
    ignore: int | None = None,
) -> Counts:
    """Count true and false positives and negatives of every image; `scores` computes scores of them.

    Args:
        truths: labels [H, W] of each image, integers or bool, or all in one array [images, H, W]. Masks of 0 and 255
            are to be divided by 255 before.
        predictions: labels [H, W] of each image, none of them ignored. Images may differ in size.
        classes: number of classes, up to 255. With 1 the labels are 0 and 1; with more, 0 to classes - 1, and a
            background is one of them.
        ignore: label of the truths' pixels that do not count; 255 if None. Truths of one class that hold 255 and no 1
            are refused without it, because 255 may be the class.

    Returns:
        Counts int64 [images, classes], in the order of the images.

    Raises:
        ValueError: There is no image, the lists have different lengths, or there are more classes. Or the shapes of a
            pair differ, or a label is of no class; the message names the image. Or 255 may be the class, see `ignore`.

    Examples:
        One row of four pixels: one right, one missed, one wrong, one ignored.

        >>> import numpy as np
        >>> from benchmarks import count_masks, scores
        >>> counts = count_masks([np.array([[1, 1, 0, 255]])], [np.array([[1, 0, 1, 1]])])
        >>> int(counts.tp[0, 0]), int(counts.fn[0, 0]), int(counts.fp[0, 0]), int(counts.tn[0, 0])
        (1, 1, 1, 0)
        >>> scores(counts, "foreground").dice
        0.5
    """
    if len(truths) != len(predictions) or len(truths) == 0:
        raise ValueError(f"expected a prediction for each truth, found {len(truths)} and {len(predictions)}")
    if not 1 <= classes <= IGNORE:
        raise ValueError(f"expected 1 to {IGNORE} classes, found {classes}")
    # Not `asarray`, which would drop the mask of a masked array.
    truths, predictions = [[*map(np.asanyarray, masks)] for masks in (truths, predictions)]
    task = Task(tuple(f"class {number}" for number in range(classes)), (32, 32))
    largest = max(1, classes - 1)
    ignored = IGNORE if ignore is None else ignore
    labels_of = [{*np.unique(truth).tolist()} for truth in truths]
    if ignore is None and classes == 1 and set.union(*labels_of) in ({IGNORE}, {0, IGNORE}):
        raise ValueError(
            f"expected truths of 0 and 1, found {IGNORE} and no 1: divide them by {IGNORE} if it is the class, or pass "
            f"ignore={IGNORE} if it marks pixels that do not count"
        )
    confusions = []
    for number, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        if truth.shape != prediction.shape or truth.ndim != 2:
            raise ValueError(f"image {number}: expected two masks [H, W], found {truth.shape} and {prediction.shape}")
        found = labels_of[number] - {ignored} | {*np.unique(prediction).tolist()}
        if unknown := sorted(value for value in found if value not in range(largest + 1)):
            raise ValueError(f"image {number}: expected labels 0 to {largest}, found also {unknown[0]}")
        known = np.where(truth == ignored, IGNORE, truth)
        pair = torch.from_numpy(known.astype(np.uint8)), torch.from_numpy(prediction.astype(np.uint8))
        confusions.append(confusion_matrix(*pair, task))
    return counts_of(confusions, task)
