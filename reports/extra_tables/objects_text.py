"""Print the tables of object scores: cells, notes, and definitions of the metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from benchmarks.metrics.object_metrics import METRICS, ObjectMetric, parameters
from data_prep.registry import find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.extra_tables.objects import ObjectRow, ObjectTable
from reports.formatting import format_limits, format_number, join_words
from reports.statistics.replicates import LEVEL_TEXT, mean_dice
from reports.tables.rows import numbered
from reports.tables.rs_sam_note import rs_sam_note

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
"""Definitions of the metrics, for the notes under a table."""


def object_section(tables: Sequence[ObjectTable]) -> list[ExtraSection]:
    """Return the section with the tables of a report; none without a table."""
    names = numbered([f"objects-{table.group.dataset}" for table in tables])
    extra_tables = tuple(_extra_table(*pair) for pair in zip(names, tables, strict=True))
    return [ExtraSection("objects", "Objects", "Scores of objects", extra_tables)] if extra_tables else []


def _extra_table(name: str, table: ObjectTable) -> ExtraTable:
    title = find_dataset(table.group.dataset).title
    texts = [
        (
            row.row.name,
            row.row.places,
            f"{mean_dice(row.row.results):.3f}" if row.row.state == "done" else row.row.state,
            *(cell(row, metric) for metric in table.metrics),
            row.row.runs,
        )
        for row in table.rows
    ]
    return ExtraTable(
        id=name,
        caption=f"Scores of objects on the {title} data set ({table.group.title})",
        heads=("Method", "Stands in", "Dice", *(metric.title for metric in table.metrics), "Runs"),
        texts=tuple(texts),
        notes=tuple(_notes(table)),
        tidy=_tidy(table),
    )


def cell(row: ObjectRow, metric: ObjectMetric) -> str:
    """Return a headline score with its interval, or why there is none."""
    if metric not in row.scores:
        return "not measured" if row.row.state == "done" else ""
    score = row.scores[metric]
    value, limits = score.scores[metric.headline], score.interval
    if math.isnan(value):
        return "-"
    return f"{format_number(value)} {format_limits(limits.low, limits.high)}".strip()


def _notes(table: ObjectTable) -> list[str]:
    names = {metric.name for metric in table.metrics}
    lines = ["; ".join(DEFINITIONS[name] for name in METRICS if name in names) + "."]
    if pooled := [metric.title for metric in table.metrics if metric.integer]:
        lines.append(f"Pooled over all test images, from integers of each: {', '.join(pooled)}.")
    for metric in table.metrics:
        if not metric.integer:
            empty = max((row.scores[metric].undefined for row in table.rows if metric in row.scores), default=0)
            lines.append(f"{metric.title} is the mean over test images; {_left_out(empty)}.")
    lines += _interval_notes(table)
    if table.missing:
        lines.append(f"Not measured: {', '.join(table.missing)}. To measure them: `rssam-bench metrics`.")
    lines.append("The paper has no such numbers. Masks have the prepared size, and lengths are in their pixels.")
    lines += rs_sam_note(result.identity["model"] for row in table.rows for result in row.row.results)
    return lines


def _interval_notes(table: ObjectTable) -> list[str]:
    found = [score.interval for row in table.rows for score in row.scores.values()]
    over = dict.fromkeys(one.units for one in found if not one.why)
    missing = dict.fromkeys(one.why for one in found if one.why)
    lines = []
    if over:
        lines.append(
            f"Intervals are {LEVEL_TEXT} of a jackknife over {join_words(list(over))} with something to score. They "
            "cover which of them were tested, not the luck of training."
        )
    return [*lines, *([f"No interval: {'; '.join(missing)}."] if missing else [])]


def _tidy(table: ObjectTable) -> pd.DataFrame:
    """Return a line for each row and score, not rounded. `low` and `high` are of the headline score of each metric.

    `undefined_images` of all replicates together have nothing to score by themselves.
    """
    lines = [
        {
            "dataset": table.group.dataset,
            "setting": table.group.title,
            "method": row.row.name,
            "tables": " ".join(row.row.tables),
            "metric": metric.name,
            "parameters": " ".join(f"{name}={value:g}" for name, value in parameters(metric).items()),
            "score": name,
            "value": value,
            "low": score.interval.low if name == metric.headline else math.nan,
            "high": score.interval.high if name == metric.headline else math.nan,
            "undefined_images": score.undefined,
            "replicates": len(row.row.results),
            "keys": " ".join(result.key for result in row.row.results),
        }
        for row in table.rows
        for metric, score in row.scores.items()
        for name, value in score.scores.items()
    ]
    return pd.DataFrame(lines)


def _left_out(empty: int) -> str:
    if not empty:
        return "each of them has a path in truth or prediction"
    return f"up to {empty} of a row have no path, neither in truth nor in prediction, and are left out"
