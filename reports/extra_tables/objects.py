"""Collect the measured object metrics of a report's rows, a table for each data set and setting, with intervals.

Nothing is measured here: a row without measurements is named as such, and without any row there is no table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.object_metrics import METRICS, ObjectMetric
from benchmarks.results.metric_store import MeasuredRun
from benchmarks.results.result import Result
from benchmarks.scoring.measure_objects import read_measured
from reports.statistics.bootstrap import Interval, image_places, interval, resampled
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
    """One system. `scores` lack the metrics that were not measured for all of its replicates."""

    row: GroupedRow
    scores: Mapping[ObjectMetric, ObjectScore]


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The measured rows of one data set under one setting, whose results may share a column."""

    group: RowGroup
    metrics: tuple[ObjectMetric, ...]
    rows: tuple[ObjectRow, ...]
    missing: tuple[str, ...]  # names of rows without any metric


@dataclass(frozen=True, eq=False)
class ObjectTables:
    """All tables of a report, and one sentence for each file of metrics that was left out."""

    tables: tuple[ObjectTable, ...]
    damaged: tuple[str, ...]


def object_tables(frames: Sequence[TableFrame], home: Path) -> ObjectTables:
    """Return the measured scores of the user's own results behind these frames."""
    groups = grouped(frame for frame in frames if frame.source == "own")
    results = results_of(groups)
    measured, damaged = read_measured(home, results)
    usable = {key: metrics for key, metrics in measured.items() if metrics.images == results[key].images}
    foreign = sorted(measured.keys() - usable.keys())
    damaged = (*damaged, *(f"metrics/{key}.json: it is of other images than the result" for key in foreign))
    tables = (_table(group, usable) for group in groups)
    return ObjectTables(tuple(table for table in tables if table is not None), damaged)


def _table(group: RowGroup, measured: Mapping[str, MeasuredRun]) -> ObjectTable | None:
    used = {metric for row in group.rows for result in row.results for metric in _sums(measured, result)}
    metrics = tuple(sorted(used, key=lambda metric: (list(METRICS).index(metric.name), metric.title)))
    rows = [ObjectRow(*pair) for pair in zip(group.rows, _scored(group.rows, metrics, measured), strict=True)]
    if not any(row.scores for row in rows):
        return None
    kept = tuple(row for row in rows if row.scores or row.row.state != "done")
    return ObjectTable(group, metrics, kept, tuple(row.row.name for row in rows if row not in kept))


def _scored(
    rows: Sequence[GroupedRow], metrics: Sequence[ObjectMetric], measured: Mapping[str, MeasuredRun]
) -> list[dict[ObjectMetric, ObjectScore]]:
    """For each row its scores under the metrics that all of its replicates have; none for a row without a score."""
    # Rows on the same images with the same metrics are resampled in one go.
    alike: dict[tuple[tuple[str, ...], tuple[ObjectMetric, ...]], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        images = tuple(sorted({image for result in row.results for image in result.images}))
        shared = tuple(metric for metric in metrics if all(metric in _sums(measured, result) for result in row.results))
        if shared and row.state == "done":
            alike[images, shared].append(number)
    scored: list[dict[ObjectMetric, ObjectScore]] = [{} for _ in rows]
    for (_, shared), numbers in alike.items():
        flat = [result for number in numbers for result in rows[number].results]
        tables = [[measured[result.key].sums[metric] for metric in shared] for result in flat]
        _, places = image_places([result.images for result in flat])
        concatenated = [np.concatenate(by_metric, axis=1) for by_metric in tables]
        drawn = resampled(concatenated, partial(_headlines, metrics=shared), places=places)
        start = 0
        for number in numbers:
            own = slice(start, start + len(rows[number].results))
            draws = drawn[own].mean(axis=0)  # [draws, metrics]
            scored[number] = {
                metric: _score(metric, [by_metric[index] for by_metric in tables[own]], interval(draws[:, index]))
                for index, metric in enumerate(shared)
            }
            start = own.stop
    return scored


def _headlines(pooled: FloatArray, metrics: Sequence[ObjectMetric]) -> FloatArray:
    """Headline scores [..., metrics] of sums [..., columns of all metrics in a row]."""
    parts = np.split(pooled, np.cumsum([len(metric.columns) for metric in metrics])[:-1], axis=-1)
    return np.stack(
        [metric.scores(part)[metric.headline] for metric, part in zip(metrics, parts, strict=True)], axis=-1
    )


def _score(metric: ObjectMetric, sums: Sequence[FloatArray], limits: Interval) -> ObjectScore:
    pooled = [metric.scores(table.sum(axis=0)) for table in sums]
    means = {name: float(np.mean([scores[name] for scores in pooled])) for name in pooled[0]}
    undefined = sum(int(np.isnan(metric.scores(table)[metric.headline]).sum()) for table in sums)
    return ObjectScore(means, limits, undefined)


def _sums(measured: Mapping[str, MeasuredRun], result: Result) -> Mapping[ObjectMetric, FloatArray]:
    return measured[result.key].sums if result.key in measured else {}
