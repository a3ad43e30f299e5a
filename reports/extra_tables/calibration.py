"""How far predicted probabilities may be believed, and what other thresholds would give: from results alone.

None of it is a score. A threshold chosen on test images would be fitted to them; the best one is shown to tell whether
a system was held back by its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd

from benchmarks.metrics.probability_histogram import Histogram
from data_prep.registry import dataset as find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.tables.frames import TableFrame
from reports.tables.rows import GroupedRow, RowGroup, grouped, numbered


@dataclass(frozen=True, eq=False)
class Calibrated:
    """One system: the histogram of all its replicates together."""

    row: GroupedRow
    histogram: Histogram


def calibration_section(frames: Sequence[TableFrame], *, pictures: bool = True) -> list[ExtraSection]:
    """Tables, with their `pictures`, one for each data set and setting with histograms; none if there is none."""
    found = [(group, _calibrated(group)) for group in grouped(frames)]
    found = [(group, rows) for group, rows in found if rows]
    names = numbered([f"calibration-{group.dataset}" for group, _ in found])
    tables = tuple(_table(name, *pair, pictures) for name, pair in zip(names, found, strict=True))
    return [ExtraSection("calibration", "Calibration", "Calibration and thresholds", tables)] if tables else []


def _calibrated(group: RowGroup) -> list[Calibrated]:
    """Rows all of whose replicates have a histogram, of the same bins; a collapsed row has no place beside scores."""
    rows = []
    for row in group.rows:
        histograms = [result.probabilities for result in row.results if result.probabilities is not None]
        same = len({(one.edges, one.counts.shape) for one in histograms}) == 1
        if row.state == "done" and len(histograms) == len(row.results) and same:
            rows.append(Calibrated(row, reduce(add, histograms)))
    return rows


def _table(name: str, group: RowGroup, rows: Sequence[Calibrated], pictured: bool) -> ExtraTable:
    texts, tidy = [], []
    for one in rows:
        error, doubt = one.histogram.calibration_error()
        thresholds, dice = one.histogram.sweep()
        half = float(dice[np.argmin(np.abs(thresholds - 0.5))])
        best = int(np.nanargmax(dice)) if not np.isnan(dice).all() else None
        best_at, best_dice = (math.nan, math.nan) if best is None else (float(thresholds[best]), float(dice[best]))
        texts.append((
            one.row.name, one.row.places, f"{error:.4f} ± {doubt:.4f}", f"{half:.3f}", f"{best_dice:.3f}",
            f"{best_at:g}", str(len(one.row.results)),
        ))  # fmt: skip
        shared = {
            "dataset": group.dataset, "setting": group.title, "method": one.row.name,
            "keys": " ".join(result.key for result in one.row.results), "calibration_error": error,
            "calibration_error_within": doubt,
        }  # fmt: skip
        tidy += [{**shared, "threshold": at, "dice": value} for at, value in zip(thresholds, dice, strict=True)]
    picture = None
    if pictured:
        from reports.figures.calibration import draw_calibration  # imports matplotlib

        picture = draw_calibration([(one.row.name, one.histogram) for one in rows])
    title = find_dataset(group.dataset).title
    return ExtraTable(
        id=name,
        caption=f"Calibration and thresholds on the {title} data set ({group.title})",
        heads=("Method", "Stands in", "ECE", "Dice at 0.5", "best Dice", "at threshold", "Runs"),
        texts=tuple(texts),
        notes=tuple(_notes(rows)),
        tidy=pd.DataFrame(tidy),
        picture=picture,
    )


def _notes(rows: Sequence[Calibrated]) -> list[str]:
    several = rows[0].histogram.counts.shape[0] > 1
    lines = [
        "A diagnosis, not scores: the best threshold is that of these very test images, and no number of the tables "
        "above is taken at it.",
        "ECE, the expected calibration error, is the mean distance between the predicted probability of a pixel and "
        "how often pixels of that probability are true; ± is how far the bins leave it open. Most pixels are "
        "background predicted with near certainty, which makes it small.",
        "Each pixel counts once, at the prepared mask's resolution; replicates are taken together.",
    ]
    lines.append(
        "In the picture, above: the share that is true by predicted probability, with the size of a dot growing with "
        "its pixels; below: Dice by threshold, with a dot where it is best. On the dashed lines probabilities are "
        "right, and the threshold is 0.5."
    )
    if several:
        lines.append(
            "Each class is held against the rest; Dice is the mean over classes at one threshold for all, where the "
            "scores of the tables take the likeliest class."
        )
    return lines
