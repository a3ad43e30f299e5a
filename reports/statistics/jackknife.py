"""Confidence intervals and tests of pooled scores over test units: the delete-one-unit jackknife.

A unit is a scene, or an image where scenes are not known: tiles of one scene err alike (`units.py`). The estimator is
deterministic. Which units were tested is all it covers, not the luck of split and training.
`docs/measure/intervals.py` measures how often its intervals hold the truth.

Reference: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Counts, FloatArray, IntArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.replicates import LEVEL, student_quantile

FEWEST_UNITS = 20
"""Units with something to score below which no interval is given: it would hold the truth in less than 90 %."""

FEWEST_TESTED = 30
"""Units with something to score below which no difference is tested."""

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Jackknife:
    """An estimate, what it would be without each unit, and which units hold something to score."""

    value: float
    without: FloatArray  # [units]
    held: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]  # [units]
    least: float = 0.0  # possible: 0 of a score, -1 of a difference; the greatest is 1

    @property
    def units(self) -> int:
        """Number of units with something to score."""
        return int(self.held.sum())

    @property
    def error(self) -> float:
        """Standard error: sqrt((n - 1) / n * sum of squares about the mean of the n values); NaN below 2 units."""
        values = self.without[self.held]
        return math.nan if len(values) < 2 else float(np.sqrt((len(values) - 1) * np.var(values)))

    @property
    def interval(self) -> Limits:
        """The 95 % interval, value -+ t * error with units - 1 degrees of freedom; NaN below FEWEST_UNITS units."""
        return self.student() if self.units >= FEWEST_UNITS else (math.nan, math.nan)

    @property
    def p(self) -> float:
        """Two-sided p of "the value is 0", by the same t; NaN below FEWEST_TESTED units."""
        from scipy.special import stdtr

        if self.units < FEWEST_TESTED or math.isnan(self.value):
            return math.nan
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stdtr(self.units - 1, -abs(self.value) / self.error))

    def student(self) -> Limits:
        """Return the interval whatever the number of units."""
        reach = student_quantile(self.units - 1, LEVEL) * self.error
        low, high = self.value - reach, self.value + reach
        return (math.nan, math.nan) if math.isnan(reach) else (max(low, self.least), min(high, 1.0))

    def __sub__(self, other: Jackknife) -> Jackknife:
        """Return the difference of two estimates over the same units: their common units make it a paired one."""
        if len(self.without) != len(other.without):
            found = f"{len(self.without)} and {len(other.without)}"
            raise ValueError(f"a difference needs the same units, found {found}")
        return Jackknife(self.value - other.value, self.without - other.without, self.held | other.held, -1.0)


def jackknife(
    tables: Sequence[IntArray | FloatArray],
    owners: Sequence[IntArray],
    units: int,
    score: Callable[[FloatArray], FloatArray],
) -> Jackknife:
    """Estimate a score as the mean over replicates.

    Args:
        tables: sums [images, columns] of each replicate, on images of its own or the same.
        owners: the number of the unit of each image, int [images], for each replicate.
        units: number of units of all replicates together. A unit is left out of every replicate at once.
        score: computes the score [rows] of pooled sums [rows, columns]; NaN where there is nothing to score.
    """
    whole, without, held = [], [], np.zeros(units, dtype=bool)
    for table, owner in zip(tables, owners, strict=True):
        by_unit = np.zeros((units, table.shape[1]))
        np.add.at(by_unit, owner, table)
        total = by_unit.sum(axis=0)
        whole.append(score(total[None])[0])
        without.append(score(total - by_unit))
        held |= by_unit.any(axis=1)
    return Jackknife(float(np.mean(whole)), np.mean(without, axis=0), held)


def jackknife_dice(replicates: Sequence[Counts], owners: Sequence[IntArray], units: int) -> tuple[Jackknife, ...]:
    """Estimate the Dice of each class, and last their mean; see `jackknife`.

    A class absent from the pooled truth and prediction is NaN, and left out of the mean.
    """
    tables = []  # of each replicate [images, classes, 2]: numerators and denominators of Dice
    for counts in replicates:
        doubled = 2 * counts.tp
        tables.append(np.stack([doubled, doubled + counts.fp + counts.fn], axis=-1))
    classes = tables[0].shape[1]
    alone = [jackknife([table[:, index] for table in tables], owners, units, _ratio) for index in range(classes)]
    flat = [table.reshape(len(table), -1) for table in tables]
    mean = jackknife(flat, owners, units, lambda sums: mean_over_classes(_ratio(sums.reshape(-1, classes, 2))))
    return (*alone, mean)


def mean_over_classes(scores: FloatArray) -> FloatArray:
    """Return means [rows] over the classes of scores [rows, classes], without those that are NaN; NaN where all are."""
    defined = ~np.isnan(scores)
    return quotient(np.where(defined, scores, 0).sum(axis=1), defined.sum(axis=1))


def _ratio(sums: FloatArray) -> FloatArray:
    """Dice [...] of sums [..., 2]; NaN where a class is in neither truth nor prediction."""
    return quotient(sums[..., 0], sums[..., 1])
