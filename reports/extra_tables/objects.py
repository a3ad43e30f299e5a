"""Collect the measured object metrics of a report's rows, a table for each data set and setting, with intervals.

Nothing is measured here: a row without measurements is named as such, and without any row there is no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.metrics.counts import FloatArray, IntArray
from benchmarks.metrics.object_metrics import METRICS, ObjectMetric
from benchmarks.results.metric_store import MeasuredRun
from benchmarks.results.result import Result
from benchmarks.scoring.measure_objects import read_measured
from reports.statistics.jackknife import jackknife
from reports.statistics.units import Interval, Units, interval, number_units
from reports.tables.frames import TableFrame
from reports.tables.rows import GroupedRow, RowGroup, grouped


@dataclass(frozen=True, eq=False)
class ObjectScore:
    """Metric of a row, means over its replicates: all its scores, and the interval of its headline score.

    `undefined` counts the test images of all replicates that have nothing to score by themselves.
    """

    scores: Mapping[str, float]
    interval: Interval
    undefined: int


@dataclass(frozen=True, eq=False)
class ObjectRow:
    """System with its scores. `scores` lack the metrics that were not measured for all of its replicates."""

    row: GroupedRow
    scores: Mapping[ObjectMetric, ObjectScore]


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """Measured rows of a data set under a setting, whose results may share a column."""

    group: RowGroup
    metrics: tuple[ObjectMetric, ...]
    rows: tuple[ObjectRow, ...]
    missing: tuple[str, ...]  # names of rows without any metric


def object_tables(frames: Sequence[TableFrame], home: Path) -> tuple[list[ObjectTable], tuple[str, ...]]:
    """Return the measured scores of the user's own results behind these frames.

    The second value is a sentence for each file of metrics that was left out.
    """
    groups = grouped(frame for frame in frames if frame.source == "own")
    results = {result.key: result for group in groups for row in group.rows for result in row.results}
    measured, damaged = read_measured(home, results)
    usable = {key: metrics for key, metrics in measured.items() if metrics.images == results[key].images}
    foreign = sorted(measured.keys() - usable.keys())
    damaged = (*damaged, *(f"metrics/{key}.json: it is of other images than the result" for key in foreign))
    tables = (_table(group, usable) for group in groups)
    return [table for table in tables if table is not None], damaged


def _table(group: RowGroup, measured: Mapping[str, MeasuredRun]) -> ObjectTable | None:
    used = {metric for row in group.rows for result in row.results for metric in _sums(measured, result)}
    metrics = tuple(sorted(used, key=lambda metric: (list(METRICS).index(metric.name), metric.title)))
    units = number_units([result for row in group.rows for result in row.results])
    rows = [ObjectRow(row, _scored(row, metrics, measured, units)) for row in group.rows]
    if not any(row.scores for row in rows):
        return None
    kept = tuple(row for row in rows if row.scores or row.row.state != "done")
    return ObjectTable(group, metrics, kept, tuple(row.row.name for row in rows if row not in kept))


def _scored(
    row: GroupedRow, metrics: Sequence[ObjectMetric], measured: Mapping[str, MeasuredRun], units: Units
) -> dict[ObjectMetric, ObjectScore]:
    """Return the scores of a row under the metrics that all of its replicates have; none for a collapsed row."""
    if row.state != "done":
        return {}
    owners = units.owners(row.results)
    return {
        metric: _score(metric, [measured[result.key].sums[metric] for result in row.results], owners, units)
        for metric in metrics
        if all(metric in _sums(measured, result) for result in row.results)
    }


def _score(metric: ObjectMetric, sums: Sequence[FloatArray], owners: Sequence[IntArray], units: Units) -> ObjectScore:
    pooled = [metric.scores(table.sum(axis=0)) for table in sums]
    means = {name: float(np.mean([scores[name] for scores in pooled])) for name in pooled[0]}
    undefined = sum(int(np.isnan(metric.scores(table)[metric.headline]).sum()) for table in sums)
    estimate = jackknife(sums, owners, units.count, lambda pooled: metric.scores(pooled)[metric.headline])
    return ObjectScore(means, interval(estimate, units), undefined)


def _sums(measured: Mapping[str, MeasuredRun], result: Result) -> Mapping[ObjectMetric, FloatArray]:
    return measured[result.key].sums if result.key in measured else {}
