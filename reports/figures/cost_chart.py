"""Dice against what a system costs, as geometry. Names stand beside their marks, where they cover the least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear, logarithmic
from reports.figures.cost_measures import COUNTED, CostKind, measured
from reports.select.settings import PAPER_SETTING
from reports.tables.frames import TableFrame
from reports.tables.rows import row_title, rows_with_results

LETTER = 6.6
"""Width in pixels of a letter, at most."""

LEFT = 46.0
"""Where the drawing begins; the scale stands before it."""

Label = tuple[float, float, str]
"""Place of a name: x, y, and the end of it that stands there (SVG's text-anchor)."""


@dataclass(frozen=True)
class Mark:
    """A system in a chart of cost. None where a number is not known."""

    title: str
    x: float
    y: float
    low: float | None
    high: float | None
    paper: float | None
    label: Label
    text: str


@dataclass(frozen=True)
class Cost:
    """Dice against one kind of cost. `where` is what it was measured on, `sentences` stand below."""

    title: str
    where: str
    unit: str
    width: float
    height: float
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Point:
    """A row before it is placed. The paper's number is left out where nothing can be compared with it."""

    title: str
    cost: float
    dice: float
    low: float | None
    high: float | None
    paper: float | None

    @property
    def values(self) -> list[float]:
        """All numbers on the axis of Dice."""
        return [value for value in (self.dice, self.low, self.high, self.paper) if value is not None]


def cost_charts(
    frame: TableFrame, speed: Sequence[Mapping[str, Any]] = (), width: float = 600, height: float = 300
) -> tuple[Cost, ...]:
    """Dice against every kind of cost that is known of any row; nothing without any Dice.

    `speed` holds the records of `rssam-bench speed`.
    """
    if "dice" not in frame.table.scores:
        return ()
    rows = [(row, results[0]) for row, results in rows_with_results(frame) if not math.isnan(row["dice"])]
    kinds: tuple[CostKind, ...] = (*COUNTED, *measured(speed))
    charts = [_chart(frame, kind, rows, width, height) for kind in kinds]
    return tuple(chart for chart in charts if chart is not None)


def _chart(
    frame: TableFrame, kind: CostKind, rows: Sequence[tuple[dict[Any, Any], Result]], width: float, height: float
) -> Cost | None:
    """None if the cost of no row is known."""
    points, shown, without = [], [], []
    for row, result in rows:
        cost = kind.of(result)
        if cost is None:
            without.append(row_title(frame, row))
        else:
            points.append(_point(frame, row, cost))
            shown.append(result)
    return _cost(kind, points, kind.sentences(shown, without), width, height) if points else None


def _point(frame: TableFrame, row: Mapping[Any, Any], cost: float) -> _Point:
    def known(name: str) -> float | None:
        value = row.get(name, math.nan)
        return None if math.isnan(value) else float(value)

    paper = known("dice_paper") if frame.setting == PAPER_SETTING else None
    return _Point(row_title(frame, row), cost, float(row["dice"]), known("dice_low"), known("dice_high"), paper)


def _cost(kind: CostKind, points: Sequence[_Point], sentences: tuple[str, ...], width: float, height: float) -> Cost:
    y = linear([value for point in points for value in point.values], height - 40, 12)
    x = logarithmic([point.cost for point in points], LEFT, width - 14)
    places = [(x.at(point.cost), y.at(point.dice)) for point in points]
    covered = [_covered(place, [y.at(value) for value in of.values]) for place, of in zip(places, points, strict=True)]
    labels = _labels(places, [point.title for point in points], covered, width)
    marks = tuple(_mark(*each, y, kind.unit) for each in zip(points, places, labels, strict=True))
    return Cost(kind.title, kind.where, kind.unit, width, height, x, y, marks, sentences)


def _mark(point: _Point, place: tuple[float, float], label: Label, y: Axis, unit: str) -> Mark:
    def at(value: float | None) -> float | None:
        return None if value is None else y.at(value)

    paper = "" if point.paper is None else f", paper {point.paper:.3f}"
    text = f"{point.title}: Dice {point.dice:.3f}{paper}; {point.cost:.4g} {unit}"
    return Mark(point.title, *place, at(point.low), at(point.high), at(point.paper), label, text)


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _covered(place: tuple[float, float], tops: Sequence[float]) -> Box:
    """What a mark covers, with its interval and the paper's number."""
    left, top = place
    return left - 5, min(top - 5, *tops), left + 5, max(top + 5, *tops)


def _labels(
    places: Sequence[tuple[float, float]], titles: Sequence[str], marks: Sequence[Box], width: float
) -> list[Label]:
    """A place for each name near its mark that covers no mark and no name before it, as far as there is one."""
    boxes = list(marks)
    labels = []
    for (left, top), title in zip(places, titles, strict=True):
        best: tuple[float, Box, Label] | None = None
        for drop in (0, -11, 11, -20, 20, -30, 30):
            for side, anchor in ((1, "start"), (-1, "end")):
                at, base, long = left + 9 * side, top + 4 + drop, LETTER * len(title)
                first = at if side > 0 else at - long
                box = (first, base - 10, first + long, base + 2)
                outside = max(0.0, LEFT - first) + max(0.0, first + long - width)
                harm = sum(_overlap(box, other) for other in boxes) + 20 * outside + abs(drop)
                if best is None or harm < best[0]:
                    best = harm, box, (at, base, anchor)
        assert best is not None
        boxes.append(best[1])
        labels.append(best[2])
    return labels


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0
