"""The scores of objects that were measured, as tables beside those of the paper: one for each data set and setting.

Nothing is measured here: a row whose maps were not measured says so, and where nothing was there is no table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.counts import FloatArray
from benchmarks.metric_store import Measured
from benchmarks.object_metrics import METRICS, ObjectMetric
from benchmarks.store import Result
from reports.frame_rows import behind, row_title
from reports.frames import State, TableFrame
from reports.object_maps import read_measured
from reports.statistics import Interval, interval, resampled


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

    tables: tuple[str, ...]  # that it stands in
    name: str  # as in the first of them
    results: tuple[Result, ...]
    state: State
    dice: float
    found: Mapping[ObjectMetric, ObjectScore] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The measured rows of one data set under one setting, whose results may share a column."""

    id: str  # of its files
    dataset: str
    title: str  # setting, data and precision, as of the frames that the rows are from
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
    groups: dict[tuple[str, str], dict[tuple[str, ...], ObjectRow]] = defaultdict(dict)
    for frame in frames:
        for row, results in behind(frame) if frame.source == "own" else ():
            name = results[0].identity["dataset"]["name"]
            rows, keys = groups[name, frame.title], tuple(result.key for result in results)
            before = rows[keys].tables if keys in rows else ()
            rows[keys] = ObjectRow(
                tables=(*before, frame.table.id),
                name=rows[keys].name if keys in rows else row_title(frame, row),
                results=results,
                state=row["state"],
                dice=float(np.mean([result.scores.dice for result in results])),
            )
    every = {result.key: result for rows in groups.values() for row in rows.values() for result in row.results}
    measured, damaged = read_measured(home, every)
    foreign = {key for key, one in measured.items() if one.images != every[key].images}
    damaged = (*damaged, *(f"metrics/{key}.json: it is of other images than the result" for key in sorted(foreign)))
    usable = {key: one for key, one in measured.items() if key not in foreign}
    made = [_table(name, title, list(rows.values()), usable) for (name, title), rows in groups.items()]
    tables = [table for table in made if table is not None]
    return Objects(tuple(_numbered(tables)), damaged)


def _table(
    dataset: str, title: str, rows: Sequence[ObjectRow], measured: Mapping[str, Measured]
) -> ObjectTable | None:  # fmt: skip
    found = {metric for row in rows for result in row.results for metric in _of(measured, result)}
    metrics = tuple(sorted(found, key=lambda metric: (list(METRICS).index(metric.name), metric.title)))
    if not metrics:
        return None
    scored = _scored(rows, metrics, measured)
    kept = [
        replace(row, found=scores)
        for row, scores in zip(rows, scored, strict=True)
        if scores or row.state == "collapsed"
    ]
    if not any(row.found for row in kept):
        return None
    missing = (row.name for row, scores in zip(rows, scored, strict=True) if not scores and row.state != "collapsed")
    return ObjectTable(dataset, dataset, title, metrics, tuple(kept), tuple(missing))


def _scored(
    rows: Sequence[ObjectRow], metrics: Sequence[ObjectMetric], measured: Mapping[str, Measured]
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


def _of(measured: Mapping[str, Measured], result: Result) -> Mapping[ObjectMetric, FloatArray]:
    return measured[result.key].sums if result.key in measured else {}


def _numbered(tables: Sequence[ObjectTable]) -> list[ObjectTable]:
    """Names of files: "objects-deepglobe", "objects-deepglobe-2"."""
    seen: dict[str, int] = defaultdict(int)
    named = []
    for table in tables:
        seen[table.dataset] += 1
        number = seen[table.dataset]
        name = f"objects-{table.dataset}" + (f"-{number}" if number > 1 else "")
        named.append(replace(table, id=name))
    return named
