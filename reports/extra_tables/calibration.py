"""Tabulate calibration errors of predicted probabilities, and Dice at other thresholds, from results alone.

None of it is a score. A threshold chosen on test images would be fitted to them. The best is shown to tell whether a
system was held back by its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import pandas as pd

from benchmarks.metrics.probability_histogram import Histogram
from data_prep.registry import find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.tables.frames import TableFrame
from reports.tables.rows import GroupedRow, RowGroup, grouped, numbered
from reports.tables.rs_sam_note import rs_sam_note

CalibratedRow = tuple[GroupedRow, Histogram]
"""System with the histogram of all its replicates together."""


def calibration_section(frames: Sequence[TableFrame], *, pictures: bool = True) -> list[ExtraSection]:
    """Return the section with a table for each data set and setting with histograms; none without histograms."""
    calibrated = [(group, rows) for group in grouped(frames) if (rows := _calibrated(group))]
    names = numbered([f"calibration-{group.dataset}" for group, _ in calibrated])
    tables = tuple(_table(name, group, rows, pictures) for name, (group, rows) in zip(names, calibrated, strict=True))
    return [ExtraSection("calibration", "Calibration", "Calibration and thresholds", tables)] if tables else []


def _calibrated(group: RowGroup) -> list[CalibratedRow]:
    """Return rows all of whose replicates have a histogram, of the same bins.

    A collapsed row has no place beside scores.
    """
    rows = []
    for row in group.rows:
        histograms = [result.probabilities for result in row.results if result.probabilities is not None]
        same = len({(histogram.edges, histogram.counts.shape) for histogram in histograms}) == 1
        if row.state == "done" and len(histograms) == len(row.results) and same:
            rows.append((row, reduce(add, histograms)))
    return rows


def _table(name: str, group: RowGroup, rows: Sequence[CalibratedRow], pictured: bool) -> ExtraTable:
    texts, tidy = [], []
    for row, histogram in rows:
        error, within = histogram.calibration_error()
        thresholds, dice = histogram.sweep()
        half = float(dice[np.argmin(np.abs(thresholds - 0.5))])
        best = int(np.nanargmax(dice)) if not np.isnan(dice).all() else None
        best_at, best_dice = (math.nan, math.nan) if best is None else (float(thresholds[best]), float(dice[best]))
        texts.append((
            row.name, row.places, f"{error:.4f} ± {within:.4f}", f"{half:.3f}", f"{best_dice:.3f}",
            f"{best_at:g}", str(len(row.results)),
        ))  # fmt: skip
        shared = {
            "dataset": group.dataset, "setting": group.title, "method": row.name,
            "keys": " ".join(result.key for result in row.results), "calibration_error": error,
            "calibration_error_within": within,
        }  # fmt: skip
        tidy += [{**shared, "threshold": at, "dice": value} for at, value in zip(thresholds, dice, strict=True)]
    picture = None
    if pictured:
        from reports.figures.calibration import draw_calibration  # imports matplotlib

        picture = draw_calibration([(row.name, histogram) for row, histogram in rows])
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


def _notes(rows: Sequence[CalibratedRow]) -> list[str]:
    several = rows[0][1].counts.shape[0] > 1
    lines = [
        "A diagnosis, not scores: the best threshold is that of these very test images, and no number of the tables "
        "above is taken at it.",
        "ECE, the expected calibration error, is the mean distance between the predicted probability of a pixel and "
        "how often pixels of that probability are true; ± is how far the bins leave it open. Most pixels are "
        "background predicted with near certainty, which makes it small.",
        "Each pixel counts once, at the prepared mask's resolution; replicates are taken together.",
        "In the picture, above: the share that is true by predicted probability, with the size of a dot growing with "
        "its pixels; below: Dice by threshold, with a dot where it is best. On the dashed lines probabilities are "
        "right, and the threshold is 0.5.",
    ]
    if several:
        lines.append(
            "Each class is held against the rest; Dice is the mean over classes at one threshold for all, where the "
            "scores of the tables take the likeliest class."
        )
    lines += rs_sam_note(result.identity["model"] for row, _ in rows for result in row.results)
    return lines
