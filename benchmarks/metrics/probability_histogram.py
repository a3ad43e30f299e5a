"""Histograms of pixels by predicted probability and truth, from which calibration is computed. NumPy only.

A histogram has a bin for each of a fixed list of probabilities and counts pixels whose truth is false and true. From it
come the reliability diagram, the expected calibration error and Dice at every edge as threshold, without a GPU and
without the probabilities themselves. None of them is a score: the score's threshold is 0.5, set before any test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metrics.counts import FloatArray, IntArray
from benchmarks.metrics.quotient import quotient

_TAIL = (0.0001, 0.0003, 0.001, 0.003)

EDGES: tuple[float, ...] = (
    0.0,
    *_TAIL,
    *(step / 100 for step in range(1, 100)),
    *(1 - part for part in reversed(_TAIL)),
    1.0,
)
"""Hundredths, and finer at both ends, where most pixels are; all of them whole multiples of 1/10,000.

A bin holds its upper edge, not its lower one (but 0).
"""

BINS = len(EDGES) - 1
HALF = EDGES.index(0.5)
"""Bins from this one on are predicted foreground."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Pixels by probability and truth, pooled over images: int64 [channels, bins, 2], false then true.

    A binary task has one channel, its foreground; of several classes each is held against the rest.
    """

    counts: IntArray
    edges: tuple[float, ...] = EDGES

    @classmethod
    def of_images(cls, counts: IntArray) -> Histogram:
        """Return the sum of histograms [images, channels, bins, 2]."""
        return cls(counts.sum(axis=0))

    def __add__(self, other: Histogram) -> Histogram:
        """Return both together. Raises ValueError if they are not of the same bins and channels."""
        if self.edges != other.edges or self.counts.shape != other.counts.shape:
            raise ValueError("histograms of different bins or classes cannot be added")
        return Histogram(self.counts + other.counts, self.edges)

    def dice(self) -> FloatArray:
        """Return Dice of each channel, each inner edge as threshold, float [channels, bins - 1]; NaN without truth."""
        above = self.counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # [channels, bins - 1, 2]: pixels above each edge
        true = self.counts[:, :, 1].sum(axis=1)[:, None]
        return quotient(2.0 * above[..., 1], (above.sum(axis=-1) + true) * (true > 0))

    def sweep(self) -> tuple[FloatArray, FloatArray]:
        """Return the thresholds and the Dice at each, mean over the channels with truth, each against the rest."""
        dice = self.dice()
        with_truth = dice[~np.isnan(dice).any(axis=1)]
        thresholds = np.asarray(self.edges[1:-1])
        return thresholds, with_truth.mean(axis=0) if len(with_truth) else np.full(len(thresholds), np.nan)

    def calibration_error(self) -> tuple[float, float]:
        """Return the expected calibration error in 0..1 over all channels together, and how far its bins leave it open.

        The error is the mean over pixels of the distance between prediction and truth. The prediction is the middle of
        its bin, the truth the share that is true in that bin. The second number is the mean half width of the bins that
        pixels are in.
        """
        pixels, low, high = self.counts.sum(axis=(0, 2)), *self._limits()
        share = quotient(self.counts.sum(axis=0)[:, 1], pixels)
        total = pixels.sum()
        if not total:
            return float("nan"), float("nan")
        gaps = np.where(pixels > 0, np.abs(share - (low + high) / 2), 0.0)
        return float((pixels * gaps).sum() / total), float((pixels * (high - low) / 2).sum() / total)

    def reliability(self, parts: int = 10) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return mean predicted probability, share that is true, and pixels, each [parts], of equal parts of 0..1.

        All channels together; NaN where no pixel is. The mean is of the middles of the bins.
        """
        low, high = self._limits()
        middle = (low + high) / 2
        part = np.minimum((middle * parts).astype(np.int64), parts - 1)
        pixels = self.counts.sum(axis=(0, 2))
        inside = np.bincount(part, pixels, minlength=parts)
        true = np.bincount(part, self.counts.sum(axis=0)[:, 1], minlength=parts)
        return (
            quotient(np.bincount(part, pixels * middle, minlength=parts), inside),
            quotient(true, inside),
            inside.astype(np.int64),
        )

    def _limits(self) -> tuple[FloatArray, FloatArray]:
        edges = np.asarray(self.edges)
        return edges[:-1], edges[1:]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, exact."""
        return {"edges": list(self.edges), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Histogram:
        """Return the histogram of `to_json`. Raises ValueError if it holds no such counts."""
        counts, edges = np.asarray(raw["counts"]), tuple(float(edge) for edge in raw["edges"])
        if counts.ndim != 3 or counts.shape[1:] != (len(edges) - 1, 2) or counts.dtype.kind != "i":
            raise ValueError("probabilities must be integers [channels, bins, 2]")
        if (counts < 0).any() or (np.diff(edges) <= 0).any():
            raise ValueError("probabilities cannot be negative, and their edges must rise")
        return cls(counts.astype(np.int64), edges)
