"""The tables of object scores as cells and notes, and as Markdown, LaTeX and CSV. HTML and terminal take the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from benchmarks.object_metrics import METRICS, ObjectMetric, parameters
from data_prep.catalog import dataset as find_dataset
from reports import latex, markdown
from reports.object_table import ObjectRow, ObjectTable
from reports.statistics import DRAWS, LEVEL

LEFT = 2
"""Columns of words before those of numbers."""

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


def caption(table: ObjectTable) -> str:
    """What the table shows, and under which setting."""
    return f"Scores of objects on the {find_dataset(table.dataset).title} data set ({table.title})"


def heads(table: ObjectTable) -> list[str]:
    """Headings: two of words, Dice, then each metric."""
    return ["Method", "Stands in", "Dice", *(metric.title for metric in table.metrics), "Runs"]


def texts(table: ObjectTable) -> list[list[str]]:
    """The cells of each row, in the order of `heads`."""
    return [
        [
            row.name,
            ", ".join(name.replace("table", "Table ") for name in row.tables),
            "collapsed" if row.state == "collapsed" else f"{row.dice:.3f}",
            *(cell(row, metric) for metric in table.metrics),
            str(len(row.results)),
        ]
        for row in table.rows
    ]


def cell(row: ObjectRow, metric: ObjectMetric) -> str:
    """A headline score with its interval, or why there is none."""
    if metric not in row.found:
        return "" if row.state == "collapsed" else "not measured"
    score = row.found[metric]
    value, limits = score.scores[metric.headline], score.interval
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" + ("" if math.isnan(limits.low) else f" [{limits.low:.3f}, {limits.high:.3f}]")


def notes(table: ObjectTable) -> list[str]:
    """What a reader must know before comparing; commands stand in backquotes."""
    names = {metric.name for metric in table.metrics}
    lines = ["; ".join(DEFINITIONS[name] for name in METRICS if name in names) + "."]
    if pooled := [metric.title for metric in table.metrics if metric.integer]:
        lines.append(f"Pooled over all test images, from integers of each: {', '.join(pooled)}.")
    for metric in table.metrics:
        empty = max((row.found[metric].undefined for row in table.rows if metric in row.found), default=0)
        if not metric.integer:
            lines.append(
                f"{metric.title} is the mean over the test images that have one; up to {empty} of a row have no path, "
                "neither in truth nor in prediction, and are left out."
            )
    lines.append(
        f"Intervals hold {100 * LEVEL:g} % of {DRAWS:,} resamples of the test images, the same as those of Dice: they "
        "cover which images were tested, not the luck of training."
    )
    if table.missing:
        lines.append(f"Not measured: {', '.join(table.missing)}. To measure them: `rssam-bench metrics`.")
    lines.append("The paper has no such numbers. Masks have the prepared size, and lengths are in their pixels.")
    return lines


def as_markdown(tables: Sequence[ObjectTable]) -> str:
    """A chapter of the page; empty if there is no table."""
    if not tables:
        return ""
    parts = ["## Scores of objects\n"]
    for table in tables:
        said = "\n".join(f"- {note}" for note in notes(table))
        parts.append(f"### {caption(table)}\n\n{markdown.lines(heads(table), texts(table), LEFT)}\n\n{said}\n")
    return "\n".join(parts)


def as_latex(table: ObjectTable) -> str:
    """One table environment for `\\input`; see `reports.latex`."""
    title = latex.escape(caption(table))
    width = len(heads(table))
    lines = (
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption[{title}]{{{title}. {latex.escape(' '.join(notes(table)))}}}",
        r"\smallskip",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * LEFT}{'r' * (width - LEFT)}}}",
        r"\toprule",
        *(" & ".join(latex.escape(text) for text in line) + r" \\" for line in [heads(table)]),
        r"\midrule",
        *(" & ".join(latex.escape(text) for text in line) + r" \\" for line in texts(table)),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
        "",
    )
    return "\n".join(lines)


def as_csv(table: ObjectTable) -> str:
    """One line for each row and score, not rounded. `low` and `high` are of the headline score of each metric.

    `undefined_images` of all replicates together have nothing to score by themselves.
    """
    lines = [
        {
            "dataset": table.dataset,
            "setting": table.title,
            "method": row.name,
            "tables": " ".join(row.tables),
            "metric": metric.name,
            "parameters": " ".join(f"{name}={value:g}" for name, value in parameters(metric).items()),
            "score": name,
            "value": value,
            "low": score.interval.low if name == metric.headline else math.nan,
            "high": score.interval.high if name == metric.headline else math.nan,
            "undefined_images": score.undefined,
            "replicates": len(row.results),
            "keys": " ".join(result.key for result in row.results),
        }
        for row in table.rows
        for metric, score in row.found.items()
        for name, value in score.scores.items()
    ]
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")
