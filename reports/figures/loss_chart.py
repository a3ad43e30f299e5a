"""Losses of a table's runs over their epochs as geometry: one small chart for each row, all on the same axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear
from reports.tables.frames import TableFrame
from reports.tables.rows import replicate, row_title, rows_with_results


@dataclass(frozen=True)
class Curve:
    """Losses of one replicate over its epochs, as the points of polylines; `best` is the chosen epoch's place."""

    train: str
    val: str
    best: tuple[float, float] | None
    label: str


@dataclass(frozen=True)
class Curves:
    """The training of one row: all its replicates on the axes that the whole table shares."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Curve, ...]
    best: str  # in words


def training_curves(frame: TableFrame, width: float = 196, height: float = 116) -> tuple[Curves, ...]:
    """One small chart for each row, all on the same axes."""
    rows = [(row, [result for result in results if result.history]) for row, results in rows_with_results(frame)]
    epochs = [epoch for _, results in rows for result in results for epoch in result.history]
    if not epochs:
        return ()
    losses = [float(epoch.get(name, math.nan)) for epoch in epochs for name in ("train_loss", "val_loss")]
    y = linear([0.0, *losses], height - 18, 6, 3)
    last = max(len(result.history) for _, results in rows for result in results)
    x = linear([0, last], 30, width - 16, min(4, last))
    return tuple(
        Curves(row_title(frame, row), x, y, tuple(_curve(one, x, y) for one in results), _best(results))
        for row, results in rows
        if results
    )


def _curve(result: Result, x: Axis, y: Axis) -> Curve:
    def points(name: str) -> str:
        places = [(float(one["epoch"]), float(one.get(name, math.nan))) for one in result.history]
        return " ".join(f"{x.at(epoch):g},{y.at(loss):g}" for epoch, loss in places if math.isfinite(loss))

    chosen = [float(one.get("val_loss", math.nan)) for one in result.history if one["epoch"] == result.best_epoch]
    best = (x.at(result.best_epoch), y.at(chosen[0])) if chosen and math.isfinite(chosen[0]) else None
    return Curve(points("train_loss"), points("val_loss"), best, replicate(result))


def _best(results: Sequence[Result]) -> str:
    epochs = [str(result.best_epoch) for result in results]
    return f"best epoch {', '.join(epochs)} of {max(len(result.history) for result in results)}"
