"""Relaxed precision, recall and F1 of roads: a pixel counts as right within a buffer of the other mask.

Source: Mnih and Hinton, "Learning to Detect Roads in High-Resolution Aerial Images" (ECCV 2010). Relaxed precision is
the share of predicted pixels that lie within a buffer of a true pixel. Relaxed recall is the share of true pixels
within the buffer of a predicted pixel. Their buffer is 3 pixels. "Within" is Euclidean here, between pixel centres;
they do not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import Mask, MaskPair
from benchmarks.metrics.quotient import quotient


@dataclass(frozen=True)
class RelaxedF1:
    """Relaxed scores with a buffer in pixels of the prepared mask."""

    buffer: int = 3

    name: ClassVar[str] = "relaxed"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("predicted_near", "predicted", "true_near", "true")
    integer: ClassVar[bool] = True
    headline: ClassVar[str] = "relaxed_f1"

    def __post_init__(self) -> None:
        if self.buffer < 0:
            raise ValueError(f"the buffer of relaxed scores is 0 pixels or more, found {self.buffer}")

    @property
    def title(self) -> str:
        """Return the heading of its column."""
        return f"Relaxed F1 ({self.buffer} px)"

    def sums(self, pair: MaskPair) -> tuple[int, ...]:
        """Return the pixels of each mask, and how many of them are near the other, in the order of `columns`."""
        near_truth, near_prediction = (self._near(mask) for mask in (pair.truth, pair.prediction))
        return parts_and_wholes((pair.prediction, near_truth), (pair.truth, near_prediction))

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Return relaxed precision, recall and F1 of pooled sums [..., 4]; see `two_sided`."""
        precision, recall, f1 = two_sided(sums)
        return {"relaxed_precision": precision, "relaxed_recall": recall, self.headline: f1}

    def _near(self, mask: Mask) -> Mask:
        """Return the pixels within the buffer of the mask: the union of the mask moved by every step of the buffer."""
        reach, (height, width) = self.buffer, mask.shape
        framed, near = np.pad(mask, reach), np.zeros_like(mask)
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                if down**2 + right**2 <= reach**2:
                    top, left = reach + down, reach + right
                    near |= framed[top : top + height, left : left + width]
        return near


def parts_and_wholes(*pairs: tuple[Mask, Mask]) -> tuple[int, ...]:
    """Return for each pair how many pixels of the first mask lie in the second, and how many it has."""
    return tuple(int(mask.sum()) for first, second in pairs for mask in (first & second, first))


def two_sided(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return two shares and their harmonic mean, of sums [..., 4] as `parts_and_wholes` gives them.

    A share of nothing is NaN. The mean is NaN only where both wholes are 0, and 0 where one of them is.
    """
    first, second = quotient(sums[..., 0], sums[..., 1]), quotient(sums[..., 2], sums[..., 3])
    product, total = first * second, first + second
    mean = np.divide(2 * product, total, out=np.zeros_like(product), where=total > 0)
    empty = sums[..., 1] + sums[..., 3] == 0
    return first, second, np.where(empty, np.nan, mean)
