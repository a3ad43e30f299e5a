"""Compute the charts of training and validation loss: one small chart for each row, all on the same axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.tables.frames import TableFrame
from reports.tables.recipe_text import describe_replicate
from reports.tables.rows import row_title, rows_with_results


@dataclass(frozen=True)
class LossCurve:
    """Losses of one replicate over its epochs, as the points of polylines; `best` is the chosen epoch's place."""

    train: str
    val: str
    best: tuple[float, float] | None
    label: str


@dataclass(frozen=True)
class LossCurves:
    """Losses of a row: all its replicates on the axes that the whole table shares."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[LossCurve, ...]
    best: str  # in words


def training_curves(frame: TableFrame) -> tuple[LossCurves, ...]:
    """Return one chart for each row, all on the same axes."""
    rows = [(row, [result for result in results if result.history]) for row, results in rows_with_results(frame)]
    epochs = [epoch for _, results in rows for result in results for epoch in result.history]
    if not epochs:
        return ()
    losses = [float(epoch.get(name, math.nan)) for epoch in epochs for name in ("train_loss", "val_loss")]
    y = linear([0.0, *losses], 98, 6, 3)
    last = max(len(result.history) for _, results in rows for result in results)
    x = linear([0, last], 30, 180, min(4, last))
    return tuple(
        LossCurves(row_title(frame, row), x, y, tuple(_curve(result, x, y) for result in results), _best(results))
        for row, results in rows
        if results
    )


def _curve(result: Result, x: Axis, y: Axis) -> LossCurve:
    def points(name: str) -> str:
        losses = [(float(epoch["epoch"]), float(epoch.get(name, math.nan))) for epoch in result.history]
        return " ".join(f"{x.at(number):g},{y.at(loss):g}" for number, loss in losses if math.isfinite(loss))

    chosen = [float(epoch.get("val_loss", math.nan)) for epoch in result.history if epoch["epoch"] == result.best_epoch]
    best = (x.at(result.best_epoch), y.at(chosen[0])) if chosen and math.isfinite(chosen[0]) else None
    return LossCurve(points("train_loss"), points("val_loss"), best, describe_replicate(result))


def _best(results: Sequence[Result]) -> str:
    epochs = [str(result.best_epoch) for result in results]
    return f"best epoch {', '.join(epochs)} of {max(len(result.history) for result in results)}"
