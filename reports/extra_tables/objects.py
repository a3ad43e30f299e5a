"""The scores of objects that were measured, as tables beside those of the paper: one for each data set and setting.

Nothing is measured here: a row whose maps were not measured says so, and where nothing was there is no table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.object_metrics import METRICS, ObjectMetric
from benchmarks.results.metric_store import MeasuredRun
from benchmarks.results.result import Result
from benchmarks.scoring.measure_objects import read_measured
from reports.statistics.bootstrap import Interval, interval, resampled
from reports.tables.frames import TableFrame
from reports.tables.rows import GroupedRow, RowGroup, grouped, results_of


@dataclass(frozen=True, eq=False)
class ObjectScore:
    """One metric of one row, means over its replicates: all its scores, and the interval of its headline score.

    `undefined` counts the test images of all replicates that have nothing to score by themselves.
    """

    scores: Mapping[str, float]
    interval: Interval
    undefined: int


@dataclass(frozen=True, eq=False)
class ObjectRow:
    """One system. `found` lacks the metrics that were not measured for all of its replicates."""

    row: GroupedRow
    found: Mapping[ObjectMetric, ObjectScore]


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The measured rows of one data set under one setting, whose results may share a column."""

    group: RowGroup
    metrics: tuple[ObjectMetric, ...]
    rows: tuple[ObjectRow, ...]
    missing: tuple[str, ...]  # names of rows without any metric


@dataclass(frozen=True, eq=False)
class Objects:
    """All tables of a report, and one sentence for each file of metrics that was left out."""

    tables: tuple[ObjectTable, ...]
    damaged: tuple[str, ...]


def object_tables(frames: Sequence[TableFrame], home: Path) -> Objects:
    """What was measured of the user's own results behind these frames."""
    groups = grouped(frame for frame in frames if frame.source == "own")
    every = results_of(groups)
    measured, damaged = read_measured(home, every)
    foreign = {key for key, one in measured.items() if one.images != every[key].images}
    damaged = (*damaged, *(f"metrics/{key}.json: it is of other images than the result" for key in sorted(foreign)))
    usable = {key: one for key, one in measured.items() if key not in foreign}
    tables = (_table(group, usable) for group in groups)
    return Objects(tuple(table for table in tables if table is not None), damaged)


def _table(group: RowGroup, measured: Mapping[str, MeasuredRun]) -> ObjectTable | None:
    found = {metric for row in group.rows for result in row.results for metric in _of(measured, result)}
    metrics = tuple(sorted(found, key=lambda metric: (list(METRICS).index(metric.name), metric.title)))
    rows = [ObjectRow(*pair) for pair in zip(group.rows, _scored(group.rows, metrics, measured), strict=True)]
    if not any(one.found for one in rows):
        return None
    kept = tuple(one for one in rows if one.found or one.row.state == "collapsed")
    return ObjectTable(group, metrics, kept, tuple(one.row.name for one in rows if one not in kept))


def _scored(
    rows: Sequence[GroupedRow], metrics: Sequence[ObjectMetric], measured: Mapping[str, MeasuredRun]
) -> list[dict[ObjectMetric, ObjectScore]]:
    """For each row its scores under the metrics that all of its replicates have; none for a collapsed row."""
    having = [
        tuple(metric for metric in metrics if all(metric in _of(measured, result) for result in row.results))
        if row.state == "done"
        else ()
        for row in rows
    ]
    # Rows on the same images with the same metrics are resampled in one go.
    alike: dict[tuple[tuple[str, ...], tuple[ObjectMetric, ...]], list[int]] = defaultdict(list)
    for number, (row, mine) in enumerate(zip(rows, having, strict=True)):
        images = tuple(sorted({image for result in row.results for image in result.images}))
        if mine:
            alike[images, mine].append(number)
    scored: list[dict[ObjectMetric, ObjectScore]] = [{} for _ in rows]
    for (images, mine), numbers in alike.items():
        place = {image: index for index, image in enumerate(images)}
        flat = [result for number in numbers for result in rows[number].results]
        sums = [[measured[result.key].sums[metric] for metric in mine] for result in flat]
        drawn = iter(
            resampled(
                [np.concatenate(tables, axis=1) for tables in sums],
                lambda pooled, mine=mine: _headlines(pooled, mine),  # type: ignore[misc]
                places=[np.array([place[image] for image in result.images]) for result in flat],
            )
        )
        tables = iter(sums)
        for number in numbers:
            replicates = rows[number].results
            draws = np.stack([next(drawn) for _ in replicates]).mean(axis=0)  # [draws, metrics]
            own = [next(tables) for _ in replicates]
            scored[number] = {
                metric: _score(metric, [each[index] for each in own], interval(draws[:, index]))
                for index, metric in enumerate(mine)
            }
    return scored


def _headlines(pooled: FloatArray, metrics: Sequence[ObjectMetric]) -> FloatArray:
    """Headline scores [..., metrics] of sums [..., columns of all metrics in a row]."""
    parts = np.split(pooled, np.cumsum([len(metric.columns) for metric in metrics])[:-1], axis=-1)
    return np.stack(
        [metric.scores(part)[metric.headline] for metric, part in zip(metrics, parts, strict=True)], axis=-1
    )


def _score(metric: ObjectMetric, sums: Sequence[FloatArray], limits: Interval) -> ObjectScore:
    pooled = [metric.scores(each.sum(axis=0)) for each in sums]
    means = {name: float(np.mean([each[name] for each in pooled])) for name in pooled[0]}
    undefined = sum(int(np.isnan(metric.scores(each)[metric.headline]).sum()) for each in sums)
    return ObjectScore(means, limits, undefined)


def _of(measured: Mapping[str, MeasuredRun], result: Result) -> Mapping[ObjectMetric, FloatArray]:
    return measured[result.key].sums if result.key in measured else {}
