"""Count confusion per image and class in integers, and compute every score from the counts. NumPy only.

Scores are never stored. The average is always named. "foreground" pools the class of a binary task over all pixels of
all images (Tables 1, 2, 5, 6 and 7 of the paper). "classes" pools each class the same way and then takes the plain mean
over classes (Tables 3 and 4). All means are over the same classes, those that truth or prediction has. So 0/0 counts as
0 in the mean: the precision of a class that is never predicted, the recall of one never true. The Dice of such a class
counts as 0 too. A class absent from both has no score: NaN, left out of every mean. `undefined` names both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.quotient import quotient

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
MOST_PIXELS = 1 << 62
"""Pixels of all images and classes up to which a file's counts are believed: sums of int64 must not overflow."""

Average = Literal["foreground", "classes"]


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives in pixels, int64 [images, classes]; ignored pixels are in none.

    `count_masks` makes them. Of several classes each is counted against the rest. The constructor checks nothing,
    `from_json` all.

    Attributes:
        tp: pixels of the class that were predicted so.
        fp: pixels of other classes, or the background, that were predicted as the class.
        fn: pixels of the class that were predicted otherwise.
        tn: all other pixels with a label.

    Examples:
        Two images of one class:

        >>> import numpy as np
        >>> from benchmarks import Counts
        >>> counts = Counts(*(np.array([[first], [second]]) for first, second in ((3, 1), (1, 0), (0, 1), (4, 6))))
        >>> int(counts.pooled().tp[0, 0])
        4
    """

    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray

    @classmethod
    def from_confusion(cls, confusion: IntArray, *, binary: bool) -> Counts:
        """Return counts from confusion matrices [images, K, K], rows truth and columns prediction.

        A binary task has K = 2 (background, foreground) and keeps the foreground alone: [images, 1].
        """
        tp = np.diagonal(confusion, axis1=1, axis2=2)
        fp = confusion.sum(axis=1) - tp
        fn = confusion.sum(axis=2) - tp
        tn = confusion.sum(axis=(1, 2))[:, None] - tp - fp - fn
        kept = slice(1, 2) if binary else slice(None)
        return cls(*(np.ascontiguousarray(part[:, kept], dtype=np.int64) for part in (tp, fp, fn, tn)))

    @classmethod
    def concatenate(cls, parts: Sequence[Counts]) -> Counts:
        """Return the counts of several image lists as one, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("tp", "fp", "fn", "tn")))

    @property
    def images(self) -> int:
        """Return the number of images counted."""
        return int(self.tp.shape[0])

    @property
    def classes(self) -> int:
        """Return the number of classes counted: 1 for a binary task."""
        return int(self.tp.shape[1])

    def pooled(self) -> Counts:
        """Return the sum over all images, as counts of a single image: [1, classes]."""
        return Counts(*(part.sum(axis=0, keepdims=True) for part in (self.tp, self.fp, self.fn, self.tn)))

    def to_json(self) -> dict[str, list[list[int]]]:
        """Return plain lists, exact."""
        return {name: getattr(self, name).tolist() for name in ("tp", "fp", "fn", "tn")}

    @classmethod
    def from_json(cls, raw: dict[str, list[list[int]]]) -> Counts:
        """Return the counts of `to_json`. Raises ValueError if the four arrays do not agree or hold no integers."""
        parts = [np.asarray(raw[name]) for name in ("tp", "fp", "fn", "tn")]
        if any(part.ndim != 2 or part.shape != parts[0].shape or part.dtype.kind != "i" for part in parts):
            raise ValueError("counts must be four integer tables of one shape [images, classes]")
        if not parts[0].size:
            raise ValueError("counts of no image or no class")
        if any((part < 0).any() for part in parts):
            raise ValueError("counts cannot be negative")
        if sum(part.sum(dtype=np.float64) for part in parts) > MOST_PIXELS:
            raise ValueError(f"counts of more than {MOST_PIXELS} pixels")
        return cls(*(part.astype(np.int64) for part in parts))


@dataclass(frozen=True)
class Scores:
    """Scores in 0..1 under one named average, see `scores`; NaN where nothing was there to score.

    Source: the identities that the paper's Tables 1 to 4 obey; `rssam-bench audit` shows the arithmetic.

    Attributes:
        dice: 2 tp / (2 tp + fp + fn).
        jaccard: tp / (tp + fp + fn).
        precision: tp / (tp + fp).
        recall: tp / (tp + fn).
        accuracy: (tp + tn) / all, of each class against the rest. The mean over n classes is
            1 - 2 (1 - overall_accuracy) / n.
        overall_accuracy: share of labelled pixels that are right.

    Examples:
        >>> import numpy as np
        >>> from benchmarks import count_masks, scores
        >>> truth = np.array([[1, 1, 1, 0]])
        >>> found = scores(count_masks([truth], [np.array([[1, 1, 0, 1]])]), "foreground")
        >>> round(found.dice, 3), found.jaccard, found.accuracy
        (0.667, 0.5, 0.5)
    """

    dice: float
    jaccard: float
    precision: float
    recall: float
    accuracy: float
    overall_accuracy: float


@dataclass(frozen=True)
class Undefined:
    """Classes, by number, that have no score of their own in a mean over classes, with the means without them.

    Such a class is in `absent`, which all means leave out, or in one of the other two, which the mean counts as 0.
    """

    absent: tuple[int, ...]  # from truth and prediction
    unpredicted: tuple[int, ...]  # true and never predicted: precision is 0/0
    untrue: tuple[int, ...]  # predicted and never true: recall is 0/0
    precision: float  # mean over the predicted classes alone
    recall: float  # mean over the true classes alone


def class_scores(counts: Counts) -> dict[str, FloatArray]:
    """Compute the scores of each class from counts pooled over all images, float64 [classes] in 0..1 each.

    The keys are "dice", "jaccard", "precision", "recall" and "accuracy". A score of 0/0 is NaN: Dice and Jaccard of a
    class in neither truth nor prediction. So are the precision of a class never predicted and the recall of one never
    true.

    The mean of precision or recall over these classes is not that of `scores` under "classes". It counts the NaN of a
    class that truth or prediction has as 0, and leaves out all scores of a class in neither.

    Examples:
        >>> import numpy as np
        >>> from benchmarks import class_scores, count_masks
        >>> counts = count_masks([np.array([[0, 1, 1, 2]])], [np.array([[0, 1, 2, 2]])], classes=3)
        >>> class_scores(counts)["dice"].round(3).tolist()
        [1.0, 0.667, 0.667]

        Class 1 is never predicted, and class 2 is in neither:

        >>> counts = count_masks([np.array([[0, 1]])], [np.array([[0, 0]])], classes=3)
        >>> class_scores(counts)["precision"].tolist()
        [0.5, nan, nan]
    """
    pooled = counts.pooled()
    tp, fp, fn, tn = (part[0].astype(np.float64) for part in (pooled.tp, pooled.fp, pooled.fn, pooled.tn))
    return {
        "dice": quotient(2 * tp, 2 * tp + fp + fn),
        "jaccard": quotient(tp, tp + fp + fn),
        "precision": quotient(tp, tp + fp),
        "recall": quotient(tp, tp + fn),
        "accuracy": quotient(tp + tn, tp + fp + fn + tn),
    }


def scores(counts: Counts, average: Average) -> Scores:
    """Compute the scores of counts under a named average.

    All scores are means over the same classes, those in truth or prediction. So under "classes" 0/0 counts as 0: the
    precision of a class never predicted, the recall of one never true. `class_scores` gives NaN there, and so does
    "foreground". A class in neither is left out; if all are, every score except `overall_accuracy` is NaN.

    Args:
        counts: of every image.
        average: "foreground" is of the one class of a binary task, pooled over all pixels of all images. "classes" is
            the plain mean over classes, each pooled so.

    Raises:
        ValueError: "foreground" is asked of several classes, or there is no such average.

    Examples:
        >>> import numpy as np
        >>> from benchmarks import count_masks, scores
        >>> counts = count_masks([np.array([[0, 1, 1, 2]])], [np.array([[0, 1, 2, 2]])], classes=3)
        >>> round(scores(counts, "classes").dice, 3)
        0.778

        Class 1 is never predicted, and class 2 is in neither. The mean precision is that of 0.5 and 0:

        >>> counts = count_masks([np.array([[0, 1]])], [np.array([[0, 0]])], classes=3)
        >>> scores(counts, "classes").precision
        0.25
    """
    if average not in get_args(Average):
        raise ValueError(f"expected the average {' or '.join(get_args(Average))}, found {average!r}")
    if average == "foreground" and counts.classes != 1:
        raise ValueError(f'the average "foreground" needs one class, these counts have {counts.classes}')
    per_class = class_scores(counts)
    present = ~np.isnan(per_class["dice"])
    kept = {name: values[present] for name, values in per_class.items()}
    if average == "classes":
        kept = {name: np.nan_to_num(values) for name, values in kept.items()}
    means = {name: _mean(values) for name, values in kept.items()}
    pooled = counts.pooled()
    labelled = pooled.tp[0, 0] + pooled.fp[0, 0] + pooled.fn[0, 0] + pooled.tn[0, 0]
    right = pooled.tp.sum() + (pooled.tn.sum() if counts.classes == 1 else 0)
    overall = float(right / labelled) if labelled else float("nan")
    return Scores(**means, overall_accuracy=overall)


def undefined(counts: Counts) -> Undefined:
    """Return which classes have no precision, recall or score at all, and the means over the others."""
    per_class = class_scores(counts)
    missing = {name: np.isnan(values) for name, values in per_class.items()}
    groups = missing["dice"], missing["precision"] & ~missing["dice"], missing["recall"] & ~missing["dice"]
    absent, unpredicted, untrue = (tuple(np.flatnonzero(group).tolist()) for group in groups)
    return Undefined(absent, unpredicted, untrue, _mean(per_class["precision"]), _mean(per_class["recall"]))


def constant_dice(counts: Counts, average: Average) -> float:
    """Return the Dice of the best constant answer: "everything is foreground", or everything the commonest class.

    With foreground share p it is 2p / (1 + p). A trained system below it has learnt nothing.
    """
    pooled = counts.pooled()
    positive = (pooled.tp + pooled.fn)[0].astype(np.float64)
    total = positive + (pooled.fp + pooled.tn)[0]
    share = quotient(positive, total)
    answers = 2 * share / (1 + share)
    if average == "foreground":
        return float(answers[0])
    present = ~np.isnan(class_scores(counts)["dice"])
    return float(np.nanmax(answers) / max(int(present.sum()), 1))


def foreground_share(counts: Counts) -> float:
    """Return the share of labelled test pixels that belong to the first class, 0..1; NaN without a labelled pixel.

    The paper's tables imply such a share for each set.
    """
    pooled = counts.pooled()
    positive = int(pooled.tp[0, 0] + pooled.fn[0, 0])
    total = positive + int(pooled.fp[0, 0] + pooled.tn[0, 0])
    return positive / total if total else float("nan")


def _mean(values: FloatArray) -> float:
    """Return the mean over defined values; NaN if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
