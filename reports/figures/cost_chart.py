"""Compute the charts of Dice against cost: places of axes, marks and names in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.results.result import Result
from reports.figures.axes import Axis, linear, logarithmic
from reports.figures.cost_measures import COUNTED_COSTS, CostKind, measured
from reports.select.settings import PAPER_SETTING
from reports.tables.frames import TableFrame, known
from reports.tables.rows import row_title, rows_with_results

WIDTH, HEIGHT = 600, 300
"""Pixels of a chart."""

LETTER = 6.6
"""Width in pixels of a letter, at most."""

LEFT = 46.0
"""Pixels at the left for the scale; the drawing begins there."""

LabelPlace = tuple[float, float, str]
"""Place of a name: x, y, and which end of the name is there (SVG's text-anchor)."""


@dataclass(frozen=True)
class CostMark:
    """System in a chart of cost. None where a number is not known."""

    title: str
    x: float
    y: float
    low: float | None
    high: float | None
    paper: float | None
    label: LabelPlace
    text: str


@dataclass(frozen=True)
class CostChart:
    """Dice against one kind of cost, measured on `where`; `sentences` are printed below."""

    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT

    title: str
    where: str
    unit: str
    x: Axis
    y: Axis
    marks: tuple[CostMark, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Point:
    """Row before it is placed. The paper's number is left out where nothing can be compared with it."""

    title: str
    cost: float
    dice: float
    low: float | None
    high: float | None
    paper: float | None

    @property
    def values(self) -> list[float]:
        """Return all numbers on the axis of Dice."""
        return [value for value in (self.dice, self.low, self.high, self.paper) if value is not None]


def cost_charts(frame: TableFrame, speed: Sequence[Mapping[str, Any]] = ()) -> tuple[CostChart, ...]:
    """Return charts of Dice against every kind of cost that is known for a row; none for a table without Dice.

    `speed` are records of `rssam-bench speed`.
    """
    if "dice" not in frame.table.scores:
        return ()
    rows = [(row, results[0]) for row, results in rows_with_results(frame) if not math.isnan(row["dice"])]
    charts = [_chart(frame, kind, rows) for kind in (*COUNTED_COSTS, *measured(speed))]
    return tuple(chart for chart in charts if chart is not None)


def _chart(frame: TableFrame, kind: CostKind, rows: Sequence[tuple[dict[Any, Any], Result]]) -> CostChart | None:
    """Return the chart of one kind of cost; None if the cost of no row is known."""
    points, shown, without = [], [], []
    for row, result in rows:
        cost = kind.cost_of(result)
        if cost is None:
            without.append(row_title(frame, row))
        else:
            low, high, paper = (known(row.get(name, math.nan)) for name in ("dice_low", "dice_high", "dice_paper"))
            printed = paper if frame.setting == PAPER_SETTING else None
            points.append(_Point(row_title(frame, row), cost, float(row["dice"]), low, high, printed))
            shown.append(result)
    if not points:
        return None
    y = linear([value for point in points for value in point.values], HEIGHT - 40, 12)
    x = logarithmic([point.cost for point in points], LEFT, WIDTH - 14)
    places = [(x.at(point.cost), y.at(point.dice)) for point in points]
    covered = [
        _covered(place, [y.at(value) for value in point.values]) for place, point in zip(places, points, strict=True)
    ]
    labels = _labels(places, [point.title for point in points], covered)
    marks = tuple(
        _mark(point, place, label, y, kind.unit) for point, place, label in zip(points, places, labels, strict=True)
    )
    return CostChart(kind.title, kind.where, kind.unit, x, y, marks, kind.sentences(shown, without))


def _mark(point: _Point, place: tuple[float, float], label: LabelPlace, y: Axis, unit: str) -> CostMark:
    paper = "" if point.paper is None else f", paper {point.paper:.3f}"
    text = f"{point.title}: Dice {point.dice:.3f}{paper}; {point.cost:.4g} {unit}"
    low, high, printed = (y.at_known(value) for value in (point.low, point.high, point.paper))
    return CostMark(point.title, *place, low, high, printed, label, text)


PixelBox = tuple[float, float, float, float]  # left, top, right, bottom


def _covered(place: tuple[float, float], tops: Sequence[float]) -> PixelBox:
    """Return the box of a mark with its interval and the paper's number."""
    left, top = place
    return left - 5, min(top - 5, *tops), left + 5, max(top + 5, *tops)


def _labels(
    places: Sequence[tuple[float, float]], titles: Sequence[str], marks: Sequence[PixelBox]
) -> list[LabelPlace]:
    """Return a place for each name near its mark that covers no mark and no name before it, as far as there is one."""
    boxes = list(marks)
    labels = []
    for (left, top), title in zip(places, titles, strict=True):
        best: tuple[float, PixelBox, LabelPlace] | None = None
        for drop in (0, -11, 11, -20, 20, -30, 30):
            for side, anchor in ((1, "start"), (-1, "end")):
                at, base, long = left + 9 * side, top + 4 + drop, LETTER * len(title)
                first = at if side > 0 else at - long
                box = (first, base - 10, first + long, base + 2)
                outside = max(0.0, LEFT - first) + max(0.0, first + long - WIDTH)
                harm = sum(_overlap(box, other) for other in boxes) + 20 * outside + abs(drop)
                if best is None or harm < best[0]:
                    best = harm, box, (at, base, anchor)
        assert best is not None
        boxes.append(best[1])
        labels.append(best[2])
    return labels


def _overlap(first: PixelBox, second: PixelBox) -> float:
    """Return the square pixels that two boxes share."""
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    return across * down if across > 0 and down > 0 else 0.0
