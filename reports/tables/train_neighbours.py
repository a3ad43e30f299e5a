"""Compute Dice without the test images that have neighbours in training, from stored counts alone.

Tiles cut from one scene show the same streets and roofs in the same light. A random split that parts them tests partly
on what was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.metrics.counts import Counts, scores
from benchmarks.results.result import Result
from reports.formatting import format_range
from reports.statistics.replicates import mean_dice

NEIGHBOURS = "train_neighbours"
"""Where a result's data record names its test images that lie in a scene with training images."""


def neighbours(result: Result) -> int | None:
    """Return the number of test images that lie in a scene with training images; None if scenes were not known."""
    return len(result.data[NEIGHBOURS]) if NEIGHBOURS in result.data else None


def dice_without_train_neighbours(result: Result) -> float:
    """Return Dice, under the result's own average, pooled over its test images without a neighbour in training.

    NaN if scenes were not known, or if no such image is left.
    """
    if NEIGHBOURS not in result.data:
        return math.nan
    near = set(result.data[NEIGHBOURS])
    kept = np.array([name not in near for name in result.images])
    if not kept.any():
        return math.nan
    return scores(
        Counts(*(getattr(result.counts, name)[kept] for name in ("tp", "fp", "fn", "tn"))), result.average
    ).dice


def describe_neighbours(rows: Mapping[str, Sequence[Result]], ours: str | None = None) -> str:
    """Describe what the neighbours do to the Dice of some rows, by name; empty if no result recorded its scenes.

    The rows that change least and most are named, and the row `ours`. A row's numbers are means over its results.
    """
    results = [result for row_results in rows.values() for result in row_results]
    counts = sorted({count for result in results if (count := neighbours(result)) is not None})
    if not counts:
        return ""
    unknown = [name for name, row_results in rows.items() if any(neighbours(result) is None for result in row_results)]
    caution = f" Not known for {', '.join(unknown)}." if unknown else ""
    if counts == [0]:
        return f"No test image lies in a scene that holds training images too.{caution}"
    totals = sorted({len(result.images) for result in results})
    near = f"{_span(counts)} of {_span(totals)} test images lie in a scene that holds training images too."
    changes = {}  # of each row: Dice without neighbours less Dice, and Dice without
    for name, row_results in rows.items():
        without = float(np.mean([dice_without_train_neighbours(result) for result in row_results]))
        if not math.isnan(without):
            changes[name] = without - mean_dice(row_results), without
    if not changes:
        return f"{near} No number can be given for the others alone.{caution}"
    ordered = sorted(changes, key=lambda name: changes[name][0])
    words = f"{changes[ordered[0]][0]:+.3f} ({ordered[0]})"
    if len(ordered) > 1:
        words += f" to {changes[ordered[-1]][0]:+.3f} ({ordered[-1]})"
    if ours in changes:
        words += f"; {ours} has {changes[ours][1]:.3f} there"
    return f"{near} Over the others alone Dice changes by {words}.{caution}"


def _span(numbers: Sequence[int]) -> str:
    return format_range(str(numbers[0]), str(numbers[-1]))
