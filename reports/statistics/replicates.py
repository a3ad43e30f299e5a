"""Compute spread, t intervals and paired contrasts of replicates, Holm's correction, and Kendall's tau."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results.result import Result

LEVEL = 0.95
LEVEL_TEXT = f"{100 * LEVEL:g} %"

ROUNDING = 0.0005
"""Half of the last digit that the paper prints."""

NO_SPREAD = 1e-12
"""Difference of scores up to which they are equal but for rounding."""


@dataclass(frozen=True)
class Contrast:
    """Difference between two systems on the same replicates; `smallest` is the least difference that would have shown.

    That is, t times the standard error: a mean nearer to 0 than it is undecided.
    """

    mean: float
    error: float
    df: int
    low: float
    high: float
    p: float
    smallest: float


def alike(values: Sequence[float]) -> bool:
    """Return whether replicates, or their differences, show no spread at all: then they are not replicates."""
    return len(values) > 1 and max(values) - min(values) <= NO_SPREAD


def mean_dice(results: Sequence[Result]) -> float:
    """Return the mean Dice of a run's replicates, 0..1; NaN if one of them has none."""
    return float(np.mean([result.scores.dice for result in results]))


def tolerance(values: Sequence[float]) -> float:
    """Return how far from the paper the mean of replicates counts as the same: `single_run_reach` + 0.0005."""
    return single_run_reach(values) + ROUNDING


def single_run_reach(values: Sequence[float]) -> float:
    """Return how far a further single run may lie from the mean of n replicates: t(n - 1) s sqrt(1 + 1/n), at 5 %.

    The 1 is the luck of that run, the paper's own, as large as ours. Raises ValueError for fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"a spread needs two replicates or more, found {len(values)}")
    return reach_factor(len(values)) * float(np.std(values, ddof=1))


def reach_factor(replicates: int) -> float:
    """Return t(n - 1) sqrt(1 + 1/n): 3.04 for five replicates."""
    return student_quantile(replicates - 1, LEVEL) * math.sqrt(1 + 1 / replicates)


def contrast(differences: Sequence[float], test_over_train: float, level: float = LEVEL) -> Contrast:
    """Return the mean of paired differences, with the variance of Nadeau and Bengio (2003) for re-splits of a data set.

    SE^2 = s_d^2 (1/n + test_over_train), because re-splits share training images and so differ less than new data
    would. `test_over_train` is 0 for an official split, where seeds alone vary. Raises ValueError for fewer than two,
    and for differences that are all alike: without a spread there is no test.
    """
    from scipy.special import stdtr

    values = np.asarray(differences, dtype=np.float64)
    if values.size < 2:
        raise ValueError(f"a contrast needs two replicates or more, found {values.size}")
    if alike(differences):
        raise ValueError(f"a contrast needs differences that are not all alike, found {values.size} of {values[0]:g}")
    mean, df = float(values.mean()), int(values.size) - 1
    error = float(values.std(ddof=1)) * math.sqrt(1 / values.size + test_over_train)
    reach = student_quantile(df, level) * error
    p = float(2 * stdtr(df, -abs(mean) / error))
    return Contrast(mean, error, df, mean - reach, mean + reach, p, reach)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p of one family, in the given order. Raises ValueError for a p outside of 0..1."""
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values must lie in 0..1, found {tuple(p)}")
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return tuple(adjusted.tolist())


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's tau-b of two lists of scores, in -1..1 (ties handled); NaN if one list is all ties.

    Raises ValueError for lists of different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"rank agreement needs lists of one length, found {len(first)} and {len(second)}")
    left, right = (np.sign(np.subtract.outer(values, values)) for values in (np.asarray(first), np.asarray(second)))
    untied = math.sqrt(float((left**2).sum()) * float((right**2).sum()))
    return float((left * right).sum()) / untied if untied else math.nan


def student_quantile(df: int, level: float) -> float:
    """Compute the two-sided quantile of Student's t: `level` 0.95 gives the 97.5 % point."""
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))
