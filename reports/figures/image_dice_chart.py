"""Compute the chart of Dice of every test image: its distribution for each row, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.statistics.per_image import image_dice
from reports.tables.frames import TableFrame
from reports.tables.rows import row_title, rows_with_results

BINS = 40
"""Steps of Dice in an outline."""

RIDGE = 22.0
"""Height in pixels of the highest peak of an outline."""


@dataclass(frozen=True)
class Ridge:
    """Dice of every test image by itself: an outline over one line, with the quartiles' places."""

    title: str
    base: float
    outline: str
    quartiles: tuple[float, float, float] | None
    images: str
    empty: str


@dataclass(frozen=True)
class Distribution:
    """Rows of a table, from the top."""

    x: Axis
    height: float
    rows: tuple[Ridge, ...]


def image_distribution(frame: TableFrame) -> Distribution | None:
    """Return the distribution of Dice over the test images of each row, without collapsed rows; None without a row.

    Images whose truth is empty are counted separately.
    """
    shown = [(row, results) for row, results in rows_with_results(frame) if row["state"] == "done"]
    if not shown or "dice" not in frame.table.scores:
        return None
    x = linear([0.0, 1.0], 190, 710)
    rows, base = [], 14.0
    for row, results in shown:
        base += RIDGE + 8
        rows.append(_ridge(row_title(frame, row), results, x, base))
    return Distribution(x, base + 30, tuple(rows))


def _ridge(title: str, results: Sequence[Result], x: Axis, base: float) -> Ridge:
    dice = np.concatenate([image_dice(result.counts) for result in results])
    has_truth = np.concatenate([(result.counts.tp + result.counts.fn).sum(axis=1) > 0 for result in results])
    clean = np.concatenate([result.counts.fp.sum(axis=1) == 0 for result in results])
    values = dice[has_truth]
    empty = int((~has_truth).sum())
    words = f"{int(has_truth.sum())} images" + (f" in {len(results)} replicates" if len(results) > 1 else "")
    quartiles = tuple(np.quantile(values, [0.25, 0.5, 0.75]).tolist()) if values.size else None
    return Ridge(
        title=title,
        base=base,
        outline=_outline(values, x, base),
        quartiles=None if quartiles is None else (x.at(quartiles[0]), x.at(quartiles[1]), x.at(quartiles[2])),
        images=(f"median {quartiles[1]:.3f}; " if quartiles else "") + words,
        empty=f"{empty} without truth, {int((~has_truth & clean).sum())} left empty" if empty else "",
    )


def _outline(values: FloatArray, x: Axis, base: float) -> str:
    """Return a closed outline of the histogram, smoothed over its neighbours, in points."""
    if not values.size:
        return ""
    heights, edges = np.histogram(values, BINS, (0.0, 1.0))
    smooth = np.convolve(heights, [0.25, 0.5, 0.25], mode="same")
    smooth = smooth / smooth.max() * RIDGE
    middles = (edges[:-1] + edges[1:]) / 2
    top = [f"{x.at(at):g},{base - high:.1f}" for at, high in zip(middles.tolist(), smooth.tolist(), strict=True)]
    return " ".join([f"{x.at(0.0):g},{base:g}", *top, f"{x.at(1.0):g},{base:g}"])
