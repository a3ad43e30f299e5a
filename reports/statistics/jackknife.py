"""Confidence intervals and tests of the pooled Dice over test units: the delete-one-unit jackknife.

A unit is a scene, or an image where scenes are not known: tiles of one scene err alike. The estimator is deterministic.
The reports still use `bootstrap.py`; `docs/measure/intervals.py` measures how often either holds the truth.

Reference: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Counts, FloatArray, IntArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.replicates import LEVEL, student_quantile

FEWEST_UNITS = 10
"""Units below which no interval is given."""

FEWEST_TESTED = 30
"""Units below which no difference is tested."""


@dataclass(frozen=True)
class Jackknife:
    """An estimate and what it would be without each unit."""

    value: float
    without: FloatArray  # [units]

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.without)

    @property
    def error(self) -> float:
        """Standard error: sqrt((n - 1) / n * sum of squares about the mean of the n values); NaN below 2 units."""
        if self.units < 2:
            return math.nan
        return float(np.sqrt((self.units - 1) * np.var(self.without)))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return value -+ t * error with units - 1 degrees of freedom; NaN below FEWEST_UNITS units."""
        if self.units < FEWEST_UNITS:
            return math.nan, math.nan
        reach = student_quantile(self.units - 1, level) * self.error
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float:
        """Two-sided p of "the value is 0", by the same t; NaN below FEWEST_TESTED units."""
        from scipy.special import stdtr

        if self.units < FEWEST_TESTED or math.isnan(self.value):
            return math.nan
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stdtr(self.units - 1, -abs(self.value) / self.error))

    def __sub__(self, other: Jackknife) -> Jackknife:
        """Return the difference of two estimates over the same units: their common units make it a paired one."""
        if self.units != other.units:
            raise ValueError(f"a difference needs the same units, found {self.units} and {other.units}")
        return Jackknife(self.value - other.value, self.without - other.without)


def jackknife_dice(replicates: Sequence[Counts], owners: Sequence[IntArray], units: int) -> tuple[Jackknife, ...]:
    """Estimate the Dice of each class, and last their mean, as the mean over replicates.

    Args:
        replicates: counts [images, classes] of each replicate, on images of its own or the same.
        owners: the number of the unit of each image, int [images], for each replicate.
        units: number of units of all replicates together. A unit is left out of every replicate at once.

    A class absent from the pooled truth and prediction is NaN, and left out of the mean.
    """
    whole, without = [], []
    for counts, owner in zip(replicates, owners, strict=True):
        doubled = 2 * counts.tp
        sums = np.concatenate([doubled, doubled + counts.fp + counts.fn], axis=1)  # [images, 2 * classes]
        by_unit = np.zeros((units, sums.shape[1]))
        np.add.at(by_unit, owner, sums)
        total = by_unit.sum(axis=0)
        whole.append(_columns(total[None]))
        without.append(_columns(total - by_unit))
    value, left = np.mean(whole, axis=0)[0], np.mean(without, axis=0)  # [classes + 1], [units, classes + 1]
    return tuple(Jackknife(float(value[column]), left[:, column]) for column in range(len(value)))


def unit_numbers(names: Sequence[Sequence[str]]) -> tuple[list[IntArray], int]:
    """Number the units of several lists of images alike; return the numbers of each list and the count of units."""
    number = {name: index for index, name in enumerate(sorted({name for part in names for name in part}))}
    return [np.array([number[name] for name in part], dtype=np.int64) for part in names], len(number)


def _columns(sums: FloatArray) -> FloatArray:
    """Compute Dice of each class and their mean, [rows, classes + 1], of pooled sums [rows, 2 * classes]."""
    dice = quotient(*np.split(sums, 2, axis=1))
    defined = ~np.isnan(dice)
    mean = quotient(np.where(defined, dice, 0).sum(axis=1), defined.sum(axis=1))
    return np.concatenate([dice, mean[:, None]], axis=1)
