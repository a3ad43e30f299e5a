"""Measure object metrics, beside Dice, from maps that runs have left: the command `metrics`. Predicts nothing."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import (
    A_RUN,
    Json,
    finished_run,
    items_argument,
    print_json,
    root,
    run_option,
    screen,
    warnings,
)
from rssam.errors import UserError

if TYPE_CHECKING:
    from benchmarks.metrics.object_metrics import ObjectMetric
    from benchmarks.results.metric_store import MeasuredRun
    from benchmarks.results.result import Result


def metrics(
    items: Annotated[list[str] | None, items_argument("Runs of these tables. [all runs of this home]")] = None,
    run: Annotated[list[str] | None, run_option(f"A {A_RUN}; may be repeated.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="relaxed, cldice, apls, boundary_iou; may be repeated. [as declared for the data set]"),
    ] = None,
    buffer: Annotated[int | None, typer.Option(min=0, help="Buffer of relaxed scores in pixels. [3]")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [all cores]")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure stored or damaged metrics again.")] = False,
    as_json: Json = False,
) -> None:
    """Measure relaxed F1, clDice and APLS of roads, boundary IoU of buildings, from saved maps; `report` shows them."""
    from benchmarks.console.progress import data_progress
    from benchmarks.metrics.object_metrics import choose_metrics
    from benchmarks.results.json_files import ResultDamaged
    from benchmarks.scoring.measure_objects import measure_run
    from data_prep.errors import DataError

    if items and run:
        raise typer.BadParameter("give tables or --run, not both")
    results = _named(run) if run else _of_tables(items or [])
    records: list[dict[str, Any]] = []
    failed = False
    with data_progress(warnings) as progress:
        for result in results:
            try:
                dataset = result.identity["dataset"]["name"]
                chosen_metrics = choose_metrics(dataset, result.classes, metric or [], buffer)
            except UserError as error:
                if run or metric or buffer is not None:
                    raise
                warnings.print(f"left out: {result.key}: {error}")
                continue
            try:
                measured, fresh = measure_run(
                    root.home, result, chosen_metrics, workers or os.cpu_count() or 1, progress, again=again
                )
            except (ResultDamaged, DataError) as error:
                remedy = "; add --again to measure anew" if isinstance(error, ResultDamaged) else ""
                warnings.print(f"failed: {error}{remedy}")
                failed = True
                continue
            records.append(_record(result, measured, chosen_metrics, bool(fresh)))
            if not as_json:
                _show(records[-1])
    if as_json:
        print_json(records)
    elif not results:
        screen.print("no finished run here; see: rssam-bench reproduce table5 --profile smoke")
    if failed:
        raise typer.Exit(1)


def _named(keys: list[str]) -> list[Result]:
    from benchmarks.results.store import Store, read_result

    return [read_result(Store(root.home).path(key)) for key in dict.fromkeys(map(finished_run, keys))]


def _of_tables(items: list[str]) -> list[Result]:
    """Return the user's results behind these tables under every setting.

    Without a name these are all of the home that tables may use. Damaged result files are left out, and named.
    """
    from benchmarks.protocol.tables import TABLES, Table
    from benchmarks.protocol.targets import find_items
    from reports.select.results import collect
    from reports.tables.assemble import results_of_tables
    from rssam.errors import UnknownName

    collection = collect(root.home)
    for line in collection.damaged:
        warnings.print(f"left out: {line}")
    if not items:
        return [stored.result for stored in collection.stored if stored.source == "own"]
    tables = [item for item in find_items(items) if isinstance(item, Table)]
    if not tables:
        raise UnknownName(f"metrics are measured on runs of tables: choose from {', '.join(TABLES)}, or --run KEY")
    return results_of_tables(tables, collection)


def _record(
    result: Result, measured: MeasuredRun, metrics: tuple[ObjectMetric, ...], fresh: bool
) -> dict[str, Any]:  # fmt: skip
    """Return the pooled scores of a run for programs; None where there is nothing to score."""
    from benchmarks.metrics.object_metrics import parameters
    from benchmarks.protocol.run_names import run_name
    from benchmarks.results.json_files import nan_to_none

    records: list[dict[str, Any]] = []
    for metric in metrics:
        sums = measured.sums[metric]
        scores = {name: float(value) for name, value in metric.scores(sums.sum(axis=0)).items()}
        per_image = metric.scores(sums)[metric.headline]  # [images]
        records.append({
            "name": metric.name,
            "title": metric.title,
            "parameters": parameters(metric),
            "scores": {name: nan_to_none(value) for name, value in scores.items()},
            "undefined": int((per_image != per_image).sum()),
        })  # fmt: skip
    return {
        "key": result.key,
        **asdict(run_name(result.identity)),
        "images": len(result.images),
        "state": "measured" if fresh else "cached",
        "metrics": records,
    }


def _show(record: dict[str, Any]) -> None:
    title = " · ".join(filter(None, (record["system"], record["variant"])))
    screen.print(f"{record['key']} ({title}): {record['images']} test images, {record['state']}")
    for metric in record["metrics"]:
        scores = ", ".join(
            f"{name.replace('_', ' ')} {'-' if value is None else f'{value:.3f}'}"
            for name, value in metric["scores"].items()
        )
        undefined = f"; {metric['undefined']} images have nothing to score" if metric["undefined"] else ""
        screen.print(f"    {metric['title']}: {scores}{undefined}")
