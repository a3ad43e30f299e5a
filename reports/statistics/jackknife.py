"""Confidence intervals and tests of pooled scores over test units: the delete-one-unit jackknife.

A unit is a scene, or an image where scenes are not known: tiles of one scene err alike (`units.py`). Units of unequal
size tell as much as fewer equal ones, their effective number. The estimator is deterministic. Which units were tested
is all it covers, not the luck of split and training. `docs/measure/intervals.py` measures how often its intervals hold
the truth.

Reference: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Counts, FloatArray, IntArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.replicates import LEVEL, NO_SPREAD, student_quantile

FEWEST_UNITS = 20
"""Units with something to score below which no interval is given: it would hold the truth in less than 90 %."""

FEWEST_TESTED = 30
"""Units with something to score below which no difference is tested."""

LEAST_EFFECTIVE = 0.4
"""Effective number of units below which neither is given, as a share of the fewest units: 8 of 20, 12 of 30."""

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Jackknife:
    """Estimate, its value without each unit, and the share of each unit in the sums it is made of.

    A unit with something to score has a share above 0; the shares add up to 1.
    """

    value: float
    without: FloatArray  # [units]
    shares: FloatArray  # [units]
    least: float = 0.0  # possible: 0 of a score, -1 of a difference; the greatest is 1

    @property
    def units(self) -> int:
        """Return the number of units with something to score."""
        return int((self.shares > 0).sum())

    @property
    def effective(self) -> float:
        """Return how many units of equal shares would tell as much: 1 / (sum of squared shares); NaN without shares."""
        return float(quotient(1.0, np.square(self.shares).sum()))

    @property
    def alike(self) -> bool:
        """Return whether leaving out a unit is as leaving out any other, so that their spread says nothing."""
        return self.error <= NO_SPREAD

    def suffices(self, fewest: int) -> bool:
        """Return whether the units, and their effective number, are enough where so many units are the fewest."""
        return self.units >= fewest and self.effective >= effective_needed(fewest)

    @property
    def error(self) -> float:
        """Return the standard error: sqrt((n - 1) / n * sum of squares about the mean of n values); NaN below 2."""
        values = self.without[self.shares > 0]
        return math.nan if len(values) < 2 else float(np.sqrt((len(values) - 1) * np.var(values)))

    @property
    def interval(self) -> Limits:
        """Return the 95 % interval, value -+ t * error with units - 1 degrees of freedom.

        NaN where units do not suffice or are all alike.
        """
        return self.student() if self.suffices(FEWEST_UNITS) and not self.alike else (math.nan, math.nan)

    @property
    def p(self) -> float:
        """Return two-sided p of "the value is 0", by the same t; NaN where units are too few, or all differ alike."""
        from scipy.special import stdtr

        if not self.suffices(FEWEST_TESTED) or math.isnan(self.value):
            return math.nan
        if self.alike:
            return 1.0 if abs(self.value) <= NO_SPREAD else math.nan
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
        shares = (self.shares + other.shares) / 2
        return Jackknife(self.value - other.value, self.without - other.without, shares, -1.0)


def effective_needed(fewest: int) -> int:
    """Return the effective number of units that is needed where so many units are the fewest."""
    return math.ceil(LEAST_EFFECTIVE * fewest)


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
    whole, without, shares = [], [], []
    for table, owner in zip(tables, owners, strict=True):
        by_unit = np.zeros((units, table.shape[1]))
        np.add.at(by_unit, owner, table)
        total = by_unit.sum(axis=0)
        whole.append(score(total[None])[0])
        without.append(score(total - by_unit))
        shares.append(_shares(by_unit))
    return Jackknife(float(np.mean(whole)), np.mean(without, axis=0), np.mean(shares, axis=0))


def _shares(by_unit: FloatArray) -> FloatArray:
    """Return shares [units] of units in their sums [units, columns], mean over the columns that are not all 0."""
    total = by_unit.sum(axis=0)
    present = by_unit[:, total > 0] / total[total > 0]
    return present.mean(axis=1) if present.size else np.zeros(len(by_unit))


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
    """Return Dice [...] of sums [..., 2]; NaN where a class is in neither truth nor prediction."""
    return quotient(sums[..., 0], sums[..., 1])
