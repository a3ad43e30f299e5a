"""The tables of object scores as they are printed: cells, notes, and what each metric is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.metrics.object_metrics import METRICS, ObjectMetric, parameters
from data_prep.registry import dataset as find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.extra_tables.objects import ObjectRow, ObjectTable
from reports.statistics.bootstrap import DRAWS
from reports.statistics.replicates import LEVEL
from reports.tables.rows import GroupedRow, numbered

DEFINITIONS = {
    "relaxed": "Relaxed F1 (Mnih and Hinton, 2010): a pixel is right within the buffer of the other mask",
    "cldice": "clDice (Shit et al., 2021): the centre lines of each mask within the other",
    "apls": (
        "APLS (Van Etten et al., 2018): lengths of paths between points at most 50 px apart, snapped within 4 px; "
        "graphs are made from the centre lines of both masks"
    ),
    "boundary_iou": (
        "Boundary IoU (Cheng et al., 2021): IoU of what lies within that share of the image's diagonal of an outline, "
        "cuts at the image's border included"
    ),
}
"""What each metric is, under a table."""


def object_section(tables: Sequence[ObjectTable]) -> list[ExtraSection]:
    """The tables of a report as a chapter of it; none if there is no table."""
    names = numbered([f"objects-{table.group.dataset}" for table in tables])
    made = tuple(_side_table(*pair) for pair in zip(names, tables, strict=True))
    return [ExtraSection("objects", "Objects", "Scores of objects", made)] if made else []


def _side_table(name: str, table: ObjectTable) -> ExtraTable:
    title = find_dataset(table.group.dataset).title
    texts = [
        (
            one.row.name,
            one.row.places,
            "collapsed" if one.row.state == "collapsed" else f"{_dice(one.row):.3f}",
            *(cell(one, metric) for metric in table.metrics),
            str(len(one.row.results)),
        )
        for one in table.rows
    ]
    return ExtraTable(
        id=name,
        caption=f"Scores of objects on the {title} data set ({table.group.title})",
        heads=("Method", "Stands in", "Dice", *(metric.title for metric in table.metrics), "Runs"),
        texts=tuple(texts),
        notes=tuple(_notes(table)),
        tidy=_tidy(table),
    )


def _dice(row: GroupedRow) -> float:
    """Mean over replicates."""
    return float(np.mean([result.scores.dice for result in row.results]))


def cell(row: ObjectRow, metric: ObjectMetric) -> str:
    """A headline score with its interval, or why there is none."""
    if metric not in row.found:
        return "" if row.row.state == "collapsed" else "not measured"
    score = row.found[metric]
    value, limits = score.scores[metric.headline], score.interval
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" + ("" if math.isnan(limits.low) else f" [{limits.low:.3f}, {limits.high:.3f}]")


def _notes(table: ObjectTable) -> list[str]:
    """What a reader must know before comparing; commands stand in backquotes."""
    names = {metric.name for metric in table.metrics}
    lines = ["; ".join(DEFINITIONS[name] for name in METRICS if name in names) + "."]
    if pooled := [metric.title for metric in table.metrics if metric.integer]:
        lines.append(f"Pooled over all test images, from integers of each: {', '.join(pooled)}.")
    for metric in table.metrics:
        if not metric.integer:
            empty = max((one.found[metric].undefined for one in table.rows if metric in one.found), default=0)
            lines.append(f"{metric.title} is the mean over test images; {_left_out(empty)}.")
    lines.append(
        f"Intervals hold {100 * LEVEL:g} % of {DRAWS:,} resamples of the test images, the same as those of Dice: they "
        "cover which images were tested, not the luck of training."
    )
    if table.missing:
        lines.append(f"Not measured: {', '.join(table.missing)}. To measure them: `rssam-bench metrics`.")
    lines.append("The paper has no such numbers. Masks have the prepared size, and lengths are in their pixels.")
    return lines


def _tidy(table: ObjectTable) -> pd.DataFrame:
    """One line for each row and score, not rounded. `low` and `high` are of the headline score of each metric.

    `undefined_images` of all replicates together have nothing to score by themselves.
    """
    lines = [
        {
            "dataset": table.group.dataset,
            "setting": table.group.title,
            "method": one.row.name,
            "tables": " ".join(one.row.tables),
            "metric": metric.name,
            "parameters": " ".join(f"{name}={value:g}" for name, value in parameters(metric).items()),
            "score": name,
            "value": value,
            "low": score.interval.low if name == metric.headline else math.nan,
            "high": score.interval.high if name == metric.headline else math.nan,
            "undefined_images": score.undefined,
            "replicates": len(one.row.results),
            "keys": " ".join(result.key for result in one.row.results),
        }
        for one in table.rows
        for metric, score in one.found.items()
        for name, value in score.scores.items()
    ]
    return pd.DataFrame(lines)


def _left_out(empty: int) -> str:
    if not empty:
        return "each of them has a path in truth or prediction"
    return f"up to {empty} of a row have no path, neither in truth nor in prediction, and are left out"
