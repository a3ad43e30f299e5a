"""Charts of a table as geometry: what lies where, in pixels. The page's templates draw it as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.counts import FloatArray
from benchmarks.store import Result
from reports.axes import Axis, linear, logarithmic
from reports.frames import TableFrame
from reports.selection import image_dice

BINS = 40
"""Steps of Dice in a distribution."""

LETTER = 6.6
"""Width in pixels of a letter, at most, in a chart."""

RIDGE = 22.0
"""Height in pixels of the highest peak of a distribution."""


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


@dataclass(frozen=True)
class Mark:
    """A system in a chart of cost. None where a number is not known."""

    title: str
    x: float
    y: float
    low: float | None
    high: float | None
    paper: float | None
    label: tuple[float, float, str]  # x, y and text-anchor
    text: str


@dataclass(frozen=True)
class Cost:
    """Dice against one kind of cost."""

    title: str
    unit: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]


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
    """All rows of a table, from the top."""

    x: Axis
    height: float
    rows: tuple[Ridge, ...]


def row_title(frame: TableFrame, row: Mapping[Any, Any]) -> str:
    """A row in a few words: its only label, or the columns that say "yes"."""
    labels = [(name, str(row[name])) for name in frame.table.label_columns]
    if len(labels) == 1:
        return labels[0][1]
    parts = [name if label == "yes" else f"{name} {label}" for name, label in labels if label != "no"]
    return " + ".join(parts) or f"no {', '.join(name for name, _ in labels)}"


def behind(frame: TableFrame) -> Iterator[tuple[dict[Any, Any], tuple[Result, ...]]]:
    """Each row that has results, with them."""
    of = {result.key: result for result in frame.results}
    for row in frame.rows.to_dict("records"):
        if row["keys"]:
            yield row, tuple(of[key] for key in row["keys"])


def training_curves(frame: TableFrame, width: float = 196, height: float = 116) -> tuple[Curves, ...]:
    """One small chart for each row, all on the same axes."""
    rows = [(row, [result for result in results if result.history]) for row, results in behind(frame)]
    epochs = [epoch for _, results in rows for result in results for epoch in result.history]
    if not epochs:
        return ()
    losses = [float(epoch.get(name, math.nan)) for epoch in epochs for name in ("train_loss", "val_loss")]
    y = linear([0.0, *losses], height - 18, 6, 3)
    last = max(len(result.history) for _, results in rows for result in results)
    x = linear([0, last] if last > 1 else [0, 2], 30, width - 16, 4)
    return tuple(
        Curves(row_title(frame, row), x, y, tuple(_curve(one, x, y) for one in results), _best(results))
        for row, results in rows
        if results
    )


def cost_charts(frame: TableFrame, width: float = 470, height: float = 300) -> tuple[Cost, ...]:
    """Dice against parameters, and against multiply-adds where a result has them; nothing without any Dice."""
    if "dice" not in frame.table.scores:
        return ()
    rows = [(row, results) for row, results in behind(frame) if not math.isnan(row["dice"])]
    kinds = (("Dice against parameters", "million parameters in all", "total", 1e6),
             ("Dice against multiply-adds", "GMACs for one image of the trained size", "macs", 1e9))  # fmt: skip
    charts = []
    for title, unit, name, scale in kinds:
        known = [(row, results[0].parameters[name] / scale) for row, results in rows if name in results[0].parameters]
        if known:
            charts.append(_cost(frame, title, unit, known, width, height))
    return tuple(charts)


def image_distribution(frame: TableFrame, width: float = 960) -> Distribution | None:
    """How Dice spreads over the test images of each row; collapsed rows and images without truth are told apart."""
    shown = [(row, results) for row, results in behind(frame) if row["state"] == "done"]
    if not shown or "dice" not in frame.table.scores:
        return None
    x = linear([0.0, 1.0], 190, width - 250)
    rows, base = [], 14.0
    for row, results in shown:
        base += RIDGE + 8
        rows.append(_ridge(row_title(frame, row), results, x, base))
    return Distribution(x, base + 30, tuple(rows))


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


def replicate(result: Result) -> str:
    """The seeds of a replicate in words."""
    return f"split seed {result.identity['split_seed']}, seed {result.identity['seed']}"


def _cost(
    frame: TableFrame, title: str, unit: str, known: Sequence[tuple[Mapping[Any, Any], float]], width: float,
    height: float,
) -> Cost:  # fmt: skip
    def finite(row: Mapping[Any, Any], name: str) -> float | None:
        value = row.get(name)
        return None if value is None or math.isnan(value) else float(value)

    drawn = [finite(row, name) for row, _ in known for name in ("dice", "dice_low", "dice_high", "dice_paper")]
    y = linear([value for value in drawn if value is not None], height - 40, 12)
    x = logarithmic([cost for _, cost in known], 46, width - 14)
    places = [(x.at(cost), y.at(row["dice"])) for row, cost in known]
    titles = [row_title(frame, row) for row, _ in known]
    boxes = [
        _whiskers(
            at,
            [
                y.at(value)
                for value in (row.get("dice_low"), row.get("dice_high"), row["dice_paper"])
                if value is not None and not math.isnan(value)
            ],
        )
        for at, (row, _) in zip(places, known, strict=True)
    ]
    labels = _labels(places, titles, boxes, width)
    marks = []
    for (row, cost), (left, top), label, name in zip(known, places, labels, titles, strict=True):
        low, high, paper = (finite(row, f"dice_{part}") for part in ("low", "high", "paper"))
        marks.append(
            Mark(
                title=name, x=left, y=top, label=label,
                low=None if low is None else y.at(low), high=None if high is None else y.at(high),
                paper=None if paper is None else y.at(paper),
                text=f"{name}: Dice {row['dice']:.3f}" + ("" if paper is None else f", paper {paper:.3f}")
                + f"; {cost:.4g} {unit}",
            )
        )  # fmt: skip
    return Cost(title, unit, x, y, tuple(marks))


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _whiskers(place: tuple[float, float], tops: Sequence[float]) -> Box:
    """What a mark covers, with its interval and the paper's number."""
    left, top = place
    return left - 5, min([top - 5, *tops]), left + 5, max([top + 5, *tops])


def _labels(
    places: Sequence[tuple[float, float]], titles: Sequence[str], marks: Sequence[Box], width: float
) -> list[tuple[float, float, str]]:
    """A place for each name beside its mark that covers no mark and no name before it, as far as there is one."""
    boxes = list(marks)
    labels = []
    for (left, top), title in zip(places, titles, strict=True):
        long = LETTER * len(title)
        options = [
            (left + side * 9, top + 4 + drop, "start" if side > 0 else "end")
            for drop in (0, -11, 11, -20, 20, -30, 30)
            for side in (1, -1)
        ]
        covered = []
        for at, base, anchor in options:
            drop = base - top - 4
            first = at if anchor == "start" else at - long
            box = (first, base - 10, first + long, base + 2)
            outside = max(0.0, 46 - first) + max(0.0, first + long - width)
            covered.append((sum(_overlap(box, other) for other in boxes) + 20 * outside + abs(drop), box))
        chosen = min(range(len(options)), key=lambda index: covered[index][0])
        boxes.append(covered[chosen][1])
        labels.append(options[chosen])
    return labels


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0


def _ridge(title: str, results: Sequence[Result], x: Axis, base: float) -> Ridge:
    dice = np.concatenate([image_dice(result.counts) for result in results])
    told = np.concatenate([(result.counts.tp + result.counts.fn).sum(axis=1) > 0 for result in results])
    clean = np.concatenate([result.counts.fp.sum(axis=1) == 0 for result in results])
    values = dice[told]
    empty = int((~told).sum())
    words = f"{int(told.sum())} images" + (f" in {len(results)} replicates" if len(results) > 1 else "")
    quartiles = tuple(np.quantile(values, [0.25, 0.5, 0.75]).tolist()) if values.size else None
    return Ridge(
        title=title,
        base=base,
        outline=_outline(values, x, base),
        quartiles=None if quartiles is None else (x.at(quartiles[0]), x.at(quartiles[1]), x.at(quartiles[2])),
        images=(f"median {quartiles[1]:.3f}; " if quartiles else "") + words,
        empty=f"{empty} without truth, {int((~told & clean).sum())} left empty" if empty else "",
    )


def _outline(values: FloatArray, x: Axis, base: float) -> str:
    """A closed outline of the histogram, smoothed over its neighbours, in points."""
    if not values.size:
        return ""
    heights, edges = np.histogram(values, BINS, (0.0, 1.0))
    smooth = np.convolve(heights, [0.25, 0.5, 0.25], mode="same")
    smooth = smooth / smooth.max() * RIDGE
    middles = (edges[:-1] + edges[1:]) / 2
    top = [f"{x.at(at):g},{base - high:.1f}" for at, high in zip(middles.tolist(), smooth.tolist(), strict=True)]
    return " ".join([f"{x.at(0.0):g},{base:g}", *top, f"{x.at(1.0):g},{base:g}"])
